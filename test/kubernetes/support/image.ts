/** What the node runs: made by `deploy/image/build.sh`, and handed to it. */
export function testImage(): string {
  return process.env.MATRIARCH_IMAGE ?? 'localhost/matriarch:dev';
}

/** Of the release before. Undefined: nobody has made it. */
export const previousImage = process.env.MATRIARCH_PREVIOUS_IMAGE;
