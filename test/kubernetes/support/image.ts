/** What the node runs: made by `deploy/image/build.sh`, and handed to it. */
export function testImage(): string {
  return process.env.MATRIARCH_IMAGE ?? 'localhost/matriarch:dev';
}
