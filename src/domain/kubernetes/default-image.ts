/** Where nothing else is said: what `deploy/image/build.sh` makes of a checkout. No registry holds it. */
export const DEFAULT_IMAGE = 'localhost/matriarch:dev';
