/** Prints a measured figure; figures never fail a test. */
export function figure(what: string, value: number, unit: string): void {
  process.stderr.write(`figure: ${what}: ${value} ${unit}\n`);
}
