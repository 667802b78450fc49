/** One event of the server, with its facts. */
export type Log = (event: string, fields: Readonly<Record<string, unknown>>) => void;

export const noLog: Log = () => undefined;
