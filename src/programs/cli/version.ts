/** Of package.json; a test compares them, so that no file is read to say it. */
export const VERSION = '0.1.0';
