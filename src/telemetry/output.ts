import { fstatSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** Where log lines go, one JSON object each. Never throws, never waits. */
export interface LogDestination {
  write(line: string): void;
}

/** What may wait for a reader that is slow, in bytes. */
const MAX_WAITING = 1024 * 1024;

/**
 * One of the outputs of this process, by its number. Whoever reads it can do us no harm: while a pipe is full lines wait, and
 * are left out (with their number, later) when too many do; when its reader is gone, or the disk is full, they are lost.
 */
export function processOutput(fd: 1 | 2): LogDestination {
  return isPipe(fd) ? new PipeOutput(fd) : { write: (line) => writeToFile(fd, line) };
}

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}

function writeToFile(fd: number, line: string): void {
  try {
    writeSync(fd, line);
  } catch {
    // No room on the disk, or no such output: nobody could be told.
  }
}

/** A pipe or a socket. What it takes it takes at once, so that a line before the end of the process is not lost. */
class PipeOutput implements LogDestination {
  private readonly socket: Socket;
  private leftOut = 0;

  constructor(fd: number) {
    this.socket = new Socket({ fd, readable: false, writable: true });
    this.socket.on('error', () => undefined);
    this.socket.on('drain', () => this.tellLeftOut());
    this.socket.unref();
  }

  write(line: string): void {
    if (!this.socket.writable) return;
    if (this.socket.writableLength + line.length > MAX_WAITING) this.leftOut += 1;
    else this.socket.write(line);
  }

  private tellLeftOut(): void {
    if (this.leftOut === 0) return;
    const count = this.leftOut;
    this.leftOut = 0;
    this.write(`${JSON.stringify({ level: 40, leftOut: count, msg: 'log lines were left out: nobody read them' })}\n`);
  }
}
