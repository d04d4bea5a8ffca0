/** Where an API server is, and how to show it who we are. */
export interface KubeAccess {
  /** Its URL, without a path unless the server is behind one. */
  readonly server: URL;
  /** Where one is not named. */
  readonly namespace: string;
  /** Asked before calls, and again when the server refuses what was shown: tokens rotate, and so do authorities. */
  readonly credentials: CredentialSource;
}

export interface KubeCredentials {
  /** PEM. Undefined: the authorities that Node.js trusts. */
  readonly ca?: string | undefined;
  /** PEM. */
  readonly certificate?: string | undefined;
  /** Secret: PEM. */
  readonly key?: string | undefined;
  /** Secret. */
  readonly token?: string | undefined;
  /** The name that the server's certificate has to be for. Default: the host of the URL. */
  readonly servername?: string | undefined;
  /** True: whoever answers is trusted, as the kubeconfig says. */
  readonly insecure?: boolean | undefined;
}

export interface CredentialSource {
  /** Errors: `kubernetes.noAccess`, which names the file. */
  read(): Promise<KubeCredentials>;
}
