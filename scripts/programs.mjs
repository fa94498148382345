// What the build makes: one bundle and one launcher per program, and links for programs that are another one by name.

/** Null client and server programs: CommonJS, no run-time dependency, started often. */
export const PROGRAMS = [
  'sendmail',
  'qmail-inject',
  'qmail-qmqpc',
  'qmail-qmqpd',
  'qmail-smtpd',
  'forward',
  'condredirect',
  'except',
  'bouncesaying',
  'preline',
  'predate',
  'datemail',
  'mailsubj',
  'maildirmake',
  'maildir2mbox',
  'maildirwatch',
  'qail',
  'elq',
  'pinq',
  'qreceipt',
  'qbiff',
  'qmail-showctl',
  'qmail-newmrh',
  'qmail-local',
  'qmail-newu',
  'qmail-pw2u',
  'qmail-getpw',
  'hub-lspawn',
  'tcprules',
  'tcprulescheck',
  'tcpserver',
  'recordio',
  'tcp-env',
  'rblsmtpd',
  'qmail-remote',
  'qmail-tcpto',
  'qmail-tcpok',
];

/** Long-running or interactive programs: ES modules, may use packages. */
export const HUB_PROGRAMS = ['mini-qmail', 'hub-queue', 'qmail-qread', 'qmail-qstat'];

/** Worker threads, bundled beside the programs that start them: bundle name to source. */
export const WORKERS = { 'index-worker': 'src/queue/index-worker.ts' };

/** Link name to program: in a null client the queue program is the QMQP client. */
export const LINKS = { 'qmail-queue': 'qmail-qmqpc' };

/** The same on a host with a hub, where it is the program that gives messages to the hub. */
export const HUB_LINKS = { 'qmail-queue': 'hub-queue' };
