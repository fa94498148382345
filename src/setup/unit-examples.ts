// Examples of systemd units, for what runs all the time or now and then. They are not enabled: a hub needs a user and a
// decision who may use it, a client a folder for the mail that it is to keep.

/** Names and texts of the units that make sense with these programs. */
export function unitExamples(prefix: string, programs: readonly string[]): { name: string; text: string }[] {
  const examples: { name: string; text: string }[] = [];
  // Every installation but a list host has the mini-qmail command; a hub is one that has all programs.
  if (programs.includes('mini-qmail') && programs.includes('qmail-qmqpd') && programs.includes('sendmail')) {
    examples.push({ name: 'mini-qmail-hub.service', text: hubUnit(prefix) });
  }
  if (programs.includes('qmail-smtpd') && programs.includes('tcpserver')) {
    examples.push({ name: 'mini-qmail-gateway.service', text: gatewayUnit(prefix) });
  }
  if (
    programs.includes('qmail-qmqpc') &&
    programs.includes('mini-qmail') &&
    !programs.includes('hub-queue')
  ) {
    examples.push({ name: 'mini-qmail-flush.service', text: flushUnit(prefix) });
    examples.push({ name: 'mini-qmail-flush.timer', text: FLUSH_TIMER });
  }
  return examples;
}

const HARDENING = `NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
`;

function hubUnit(prefix: string): string {
  return `# Example: a hub. Make its user and its home first, and say in control/qmqpclients who may use it:
#   useradd --system --home-dir /var/lib/mini-qmail mini-qmail
#   install -d -o mini-qmail /var/lib/mini-qmail
#   cp -r ${prefix}/control /var/lib/mini-qmail/control
[Unit]
Description=mini-qmail hub
After=network-online.target
Wants=network-online.target

[Service]
User=mini-qmail
ExecStart=${prefix}/bin/mini-qmail hub --home /var/lib/mini-qmail --qmqp 0.0.0.0:628
ReadWritePaths=/var/lib/mini-qmail
Restart=on-failure
LimitNOFILE=65536
${HARDENING}
[Install]
WantedBy=multi-user.target
`;
}

function gatewayUnit(prefix: string): string {
  return `# Example: SMTP in, QMQP to the servers of control/qmqpservers out; nothing is kept here.
# control/rcpthosts says which domains are taken; without it everything is. %H is the name of this host, for Received fields.
[Unit]
Description=mini-qmail gateway
After=network-online.target
Wants=network-online.target
ConditionPathExists=${prefix}/control/rcpthosts

[Service]
DynamicUser=yes
ExecStart=${prefix}/bin/tcpserver -v -R -H -l %H -c 1000 -b 200 0 25 ${prefix}/bin/qmail-smtpd
Restart=on-failure
LimitNOFILE=65536
${HARDENING}
[Install]
WantedBy=multi-user.target
`;
}

function flushUnit(prefix: string): string {
  return `# Example: sends what this host has kept in the folder of control/spilldir while no server took mail; its timer starts it.
# Without systemd, a line for /etc/cron.d:
#   */5 * * * * root ${prefix}/bin/mini-qmail flush
[Unit]
Description=Send mail that waits on this host
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStart=${prefix}/bin/mini-qmail flush
# Mail still waits: the timer tries again.
SuccessExitStatus=111
`;
}

const FLUSH_TIMER = `[Unit]
Description=Send mail that waits on this host, now and then

[Timer]
OnBootSec=1min
OnUnitInactiveSec=5min
RandomizedDelaySec=30s

[Install]
WantedBy=timers.target
`;
