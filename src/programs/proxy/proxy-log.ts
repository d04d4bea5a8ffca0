/** As pino logs: what is known as fields, then a sentence. */
export interface ProxyLog {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
  debug(fields: object, text: string): void;
}
