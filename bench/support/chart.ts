// Draws lines over a logarithmic axis as an SVG picture that can be read on a light and on a dark page, and without colour.

/** One line of a panel; x is 0 or at least 10, in rising order. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** One picture of several side by side; its y axis begins at 0. At most three lines. */
export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

const [WIDTH, HEIGHT] = [270, 190];
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 14, 42, 44];
const MARKS = [
  { dash: '', radius: 3.5 },
  { dash: '6 4', radius: 3.5 },
  { dash: '2 3', radius: 3.5 },
];
const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.axis { stroke: #8c959f; stroke-width: 1; fill: none }
.grid { stroke: #8c959f; stroke-opacity: .3 }
.l0 { stroke: #0969da } .l1 { stroke: #bc4c00 } .l2 { stroke: #1a7f37 }
.d0 { fill: #0969da } .d1 { fill: #bc4c00 } .d2 { fill: #1a7f37 }
.page { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .page { fill: #0d1117 }
.l0 { stroke: #58a6ff } .l1 { stroke: #f0883e } .l2 { stroke: #3fb950 }
.d0 { fill: #58a6ff } .d1 { fill: #f0883e } .d2 { fill: #3fb950 }
}`;

/** The panels beside each other. @param xTitle what is on all x axes */
export function drawPanels(xTitle: string, panels: readonly Panel[]): string {
  const [width, height] = [panels.length * (LEFT + WIDTH + RIGHT), TOP + HEIGHT + BOTTOM];
  const drawn = panels.map((panel, n) => {
    const at = n * (LEFT + WIDTH + RIGHT) + LEFT;
    return `<g transform="translate(${at} ${TOP})">${drawPanel(panel, xTitle)}</g>`;
  });
  const titles = panels.map(({ title }) => title).join('; ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${titles}">`,
    `<style>${STYLE}\n</style><rect class="page" width="100%" height="100%"/>`,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

function drawPanel({ title, unit, lines }: Panel, xTitle: string): string {
  const all = lines.flatMap(({ points }) => points);
  const step = niceStep(Math.max(...all.map(([, y]) => y)) / 4);
  const top = step * Math.ceil(Math.max(...all.map(([, y]) => y)) / step);
  const decades = [...new Set(all.map(([x]) => decadeOf(x)))].sort((a, b) => a - b);
  const [first = 0, last = 1] = [decades[0], decades.at(-1)];
  const zeroAt = decades.find((decade) => decade > 0) ?? 1;
  const place = (x: number) =>
    first === 0
      ? ((x === 0 ? 0 : Math.log10(x) - zeroAt + 1) / Math.max(1, last - zeroAt + 1)) * WIDTH
      : ((Math.log10(x) - first) / Math.max(1, last - first)) * WIDTH;
  const height = (y: number) => HEIGHT - (y / top) * HEIGHT;
  const parts = [`<text class="title" x="0" y="-24">${title}, ${unit}</text>`];
  for (let y = 0; y <= top + step / 2; y += step) {
    const at = height(y).toFixed(1);
    parts.push(`<path class="grid" d="M0 ${at}H${WIDTH}"/>`);
    parts.push(`<text x="-6" y="${at}" dy=".35em" text-anchor="end">${Number(y.toPrecision(3))}</text>`);
  }
  for (const x of new Set(all.map(([value]) => value)))
    parts.push(`<text x="${place(x).toFixed(1)}" y="${HEIGHT + 18}" text-anchor="middle">${xText(x)}</text>`);
  parts.push(`<text x="${WIDTH / 2}" y="${HEIGHT + 36}" text-anchor="middle">${xTitle}</text>`);
  parts.push(`<path class="axis" d="M0 0V${HEIGHT}H${WIDTH}"/>`);
  lines.forEach((line, n) => {
    const dots = line.points.map(([x, y]) => [place(x).toFixed(1), height(y).toFixed(1)] as const);
    const { dash, radius } = MARKS[n]!;
    const path = `M${dots.map((dot) => dot.join(' ')).join('L')}`;
    parts.push(`<path class="l${n}" fill="none" stroke-width="2" stroke-dasharray="${dash}" d="${path}"/>`);
    for (const [x, y] of dots) parts.push(`<circle class="d${n}" cx="${x}" cy="${y}" r="${radius}"/>`);
    const at = n * 150;
    parts.push(`<path class="l${n}" stroke-width="2" stroke-dasharray="${dash}" d="M${at} -9h22"/>`);
    parts.push(`<text x="${at + 28}" y="-5">${line.name}</text>`);
  });
  return parts.join('\n');
}

function decadeOf(x: number): number {
  return x === 0 ? 0 : Math.log10(x);
}

function xText(x: number): string {
  const power = Math.log10(x);
  if (!Number.isInteger(power)) return String(x);
  return `10<tspan dy="-5" font-size="9">${power}</tspan>`;
}

/** The next larger of 1, 2, 5, 10 … */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
}
