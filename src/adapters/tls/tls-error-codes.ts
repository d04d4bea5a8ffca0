/** Node's codes of a certificate that does not hold (https://nodejs.org/api/tls.html#x509-certificate-error-codes). */
export const UNTRUSTED_CERTIFICATE =
  /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|CRL_|INVALID_CA|PATH_LENGTH|HOSTNAME_MISMATCH|ERR_TLS_CERT)/;
/** The alerts by which a server refuses ours. */
export const REFUSED_CERTIFICATE = /ALERT_(BAD_CERT|CERTIFICATE|UNKNOWN_CA|UNSUPPORTED_CERT|ACCESS_DENIED|DECRYPT_ERROR)/;
