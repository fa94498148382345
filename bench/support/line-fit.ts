// Whether a series of measurements grows: the straight line that fits it best.

/** A straight line through measurements. */
export interface LineFit {
  readonly mean: number;
  /** Change of y for 1 of x. */
  readonly slope: number;
  /** Standard error of the slope: what chance alone may make of it. */
  readonly error: number;
}

/** Least squares. @param points three or more, not all at one x */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): LineFit {
  const count = points.length;
  const sum = (of: (point: readonly [number, number]) => number) =>
    points.reduce((total, point) => total + of(point), 0);
  const meanX = sum(([x]) => x) / count;
  const mean = sum(([, y]) => y) / count;
  const spread = sum(([x]) => (x - meanX) ** 2);
  const slope = sum(([x, y]) => (x - meanX) * (y - mean)) / spread;
  const left = sum(([x, y]) => (y - mean - slope * (x - meanX)) ** 2);
  return { mean, slope, error: Math.sqrt(left / (count - 2) / spread) };
}
