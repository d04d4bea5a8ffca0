/** A part of the terminal that is painted over again and again, as `top` does it, below what was printed before. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #lines = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Lines wider than the terminal are cut: a wrapped one would be counted wrongly, and paint over the wrong place. */
  paint(text: string): void {
    const { columns = 80, rows = 24 } = this.#stream;
    const lines = text
      .split('\n')
      .slice(0, rows - 1)
      .map((line) => cut(line, columns));
    const up = this.#lines > 0 ? `\u001b[${this.#lines}A\r` : '';
    this.#stream.write(`${up}\u001b[J${lines.join('\n')}\n`);
    this.#lines = lines.length;
  }

  /** What is there stays; the next painting begins below it. */
  keep(): void {
    this.#lines = 0;
  }

  clear(): void {
    if (this.#lines > 0) this.#stream.write(`\u001b[${this.#lines}A\r\u001b[J`);
    this.#lines = 0;
  }
}

/** The first `columns` letters; escape sequences take no room and are kept, so that every colour is ended. */
export function cut(line: string, columns: number): string {
  let room = columns;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one.
  return line.replaceAll(/(\u001b\[[0-9;]*m)|(.)/gsu, (_, sequence: string | undefined, letter: string) =>
    sequence !== undefined ? sequence : room-- > 0 ? letter : '',
  );
}
