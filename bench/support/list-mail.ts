// One message to a mailing list as lists are: 1,000 different addresses of about 26 bytes, and a message of 1.4 KB. Made by chance from
// a fixed seed, so that everybody measures the same bytes, and not to compress well: names and hosts are random syllables, which hold
// more than real names do, and no two addresses are in order.

const SYLLABLE_STARTS = [
  'b',
  'br',
  'c',
  'ch',
  'd',
  'f',
  'g',
  'h',
  'j',
  'k',
  'l',
  'm',
  'n',
  'p',
  'r',
  's',
  'sch',
  'st',
  't',
  'v',
  'w',
  'z',
];
const SYLLABLE_ENDS = [
  'a',
  'an',
  'ar',
  'e',
  'el',
  'en',
  'er',
  'i',
  'il',
  'in',
  'o',
  'ol',
  'on',
  'u',
  'ul',
  'ug',
  'ett',
  'ick',
  'oss',
  'and',
];
/** What is reserved for examples, as varied as it is. */
const TOP_DOMAINS = ['example', 'test', 'invalid', 'example.org'];
const SEED = 288;
const [GIVEN_NAMES, SURNAMES, HOSTS] = [300, 800, 400];

/** Numbers below the argument, the same in every run. */
type Chance = (below: number) => number;

/** A message to a list, and who gets it. */
export interface ListMail {
  /** Lines end with LF. */
  readonly message: string;
  readonly sender: string;
  readonly recipients: readonly string[];
}

/** The message to the first `count` of the list's 1,000 members. */
export function makeListMail(count = 1000): ListMail {
  const chance = chanceOf(SEED);
  const words = (number: number) => Array.from({ length: number }, () => makeWord(chance));
  const given = words(GIVEN_NAMES);
  const surnames = words(SURNAMES);
  const hosts = words(HOSTS).map((word) => `${word}.${TOP_DOMAINS[chance(TOP_DOMAINS.length)]}`);
  const members = new Set<string>();
  while (members.size < 1000) {
    // Some hosts have many members, most have one or two.
    const host = hosts[Math.min(chance(HOSTS), chance(HOSTS))]!;
    members.add(`${makeLocalPart(chance, given[chance(GIVEN_NAMES)]!, surnames[chance(SURNAMES)]!)}@${host}`);
  }
  return { message: MESSAGE, sender: 'garden-owner@lists.example', recipients: [...members].slice(0, count) };
}

/** The envelope as queue programs read it. */
export function queueEnvelope({ sender, recipients }: ListMail): string {
  return `F${sender}\0${recipients.map((recipient) => `T${recipient}\0`).join('')}\0`;
}

function makeLocalPart(chance: Chance, given: string, surname: string): string {
  const forms = [
    () => `${given}.${surname}`,
    () => `${given}_${surname}`,
    () => `${given[0]}${surname}`,
    () => `${surname}${chance(10)}`,
    () => given,
    () => `${surname}${chance(100)}`,
    () => `${given}${1950 + chance(60)}`,
  ];
  return forms[chance(forms.length)]!();
}

/** Two syllables, or three now and then. */
function makeWord(chance: Chance): string {
  const syllable = () =>
    SYLLABLE_STARTS[chance(SYLLABLE_STARTS.length)]! + SYLLABLE_ENDS[chance(SYLLABLE_ENDS.length)]!;
  return syllable() + syllable() + (chance(4) === 0 ? syllable() : '');
}

/** A small generator with 32 bits of state; good enough to look like names. */
function chanceOf(seed: number): Chance {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const MESSAGE = `Date: Mon, 23 Nov 2026 08:15:00 +0000
From: Ilka Brandt <ilka@garden.example>
To: Garden list <garden@lists.example>
Subject: Seed exchange on Saturday, and the water pump
Message-ID: <20261123081500.4711.ilka@garden.example>
Mailing-List: contact garden-help@lists.example; run by hand
Precedence: bulk
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

Dear all,

the seed exchange will be on Saturday from ten to one, in the shed behind the
north gate. Please bring what you have dried and labelled: beans and tomatoes
went first last year, while nobody wanted a third crate of marrows. Jars and
paper bags are there. If you can only come late, leave your seeds with Tomas,
who has the key, and write on them what you would like in return.

The pump has been mended. It was not the motor but a toad, which is well and
lives in the pond now. The bill for the new seal was 38; it came out of the
common purse, in which there are 112 left. We should still talk about a second
barrel before the summer, because the long bed was dry twice in August and the
leeks have not forgiven us.

Two more things, and then I leave you in peace until the frost is over. The council would like to know by the end of the month how
many plots are free, so tell me if you mean to give yours up. And whoever has
borrowed the big fork: the compost is waiting for it.

See you on Saturday,
Ilka
`;
