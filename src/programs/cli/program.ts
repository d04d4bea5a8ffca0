import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_CONFIG_FILE } from '#domain/config/cluster-paths.ts';
import { type ErrorCode, MatriarchError } from '#domain/errors.ts';
import { DEFAULT_IMAGE } from '#domain/kubernetes/default-image.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import { VERSION } from './version.ts';

function integer(minimum: number, maximum: number) {
  return (text: string): number => {
    const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= minimum && value <= maximum))
      throw new InvalidArgumentError(`It must be a number from ${minimum} to ${maximum}.`);
    return value;
  };
}

function clusterName(text: string): string {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(text))
    throw new InvalidArgumentError('It must be lower-case letters, digits and dashes, at most 40, a letter first.');
  return text;
}

const dir = () =>
  new Option(
    '--dir <dir>',
    'the folder of the cluster (default: /var/lib/matriarch/main for root, ~/.local/state/matriarch/main)',
  ).env('MATRIARCH_DIR');
const config = () => new Option('--config <file>', 'the configuration of the member on this machine').env('MATRIARCH_CONFIG');
const output = () =>
  new Option('-o, --output <format>', 'for people, or for programs').choices(['table', 'json']).default('table');
const yes = () => new Option('--yes', 'do not ask');
const member = () => new Argument('<member>', 'the name of the member');

/** Every action is imported when it runs: `matriarch status` does not pay for what `up` needs. */
export function buildProgram(): Command {
  const program = new Command('matriarch')
    .description('Keeps a PostgreSQL cluster alive: failover, switchover and rejoin without losing an acknowledged transaction.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  addLifecycle(program);
  addAgent(program);
  addProxy(program);
  addOperator(program);
  addStop(program);
  addViews(program);
  addRequests(program);
  addConfig(program);
  addTools(program);
  addMachines(program);
  addCertificates(program);
  addKubernetes(program);
  return program;
}

/** Settings such as `exitOverride` are inherited only by commands made through their parent. */
function command(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).helpOption('-h, --help', 'print this help').addOption(dir());
}

/** A command about a cluster in a folder, or about the one that the member of this machine belongs to. */
function clusterCommand(program: Command, name: string, description: string): Command {
  return command(program, name, description)
    .addOption(config())
    .hook('preAction', (_, action) => preferSaid(action));
}

/** What is said on the command line wins over the environment, and of the environment the folder. */
function preferSaid(action: Command): void {
  const source = (name: string) => action.getOptionValueSource(name);
  if (source('dir') === undefined || source('config') === undefined) return;
  if (source('dir') === 'cli' && source('config') === 'cli')
    throw new MatriarchError('usage.invalidArgument', '--dir and --config name two clusters; say one of them');
  action.setOptionValue(source('config') === 'cli' ? 'dir' : 'config', undefined);
}

function addLifecycle(program: Command): void {
  command(program, 'up', 'bring a cluster up on this machine; make it if there is none')
    .addOption(new Option('--name <name>', 'the name of a new cluster').argParser(clusterName))
    .addOption(new Option('--members <n>', 'how many members a new cluster gets (default: 3)').argParser(integer(1, 16)))
    .addOption(
      new Option(
        '--port <port>',
        'the first port of a new cluster, one for each member (default: free ones from 5433)',
      ).argParser(integer(1, 65_535)),
    )
    .addOption(
      new Option(
        '--postgres-bin <dir>',
        'the folder of the PostgreSQL programs (default: PATH, then the folders of the distribution)',
      ).env('MATRIARCH_POSTGRES_BIN'),
    )
    .addOption(
      new Option(
        '--durability <mode>',
        'when a commit of a new cluster counts as done (default: required with 3 members or more, preferred with 2, async with 1)',
      ).choices(['required', 'preferred', 'async']),
    )
    .addOption(
      new Option(
        '--proxy-port <port>',
        'where the proxy serves clients (default: as before; at first 6432 or the next free one)',
      ).argParser(integer(1, 65_535)),
    )
    .option('--no-proxy', 'run no proxy from now on; `--proxy-port` brings one back')
    .option('--detach', 'leave it running in the background')
    .action(async (options) => (await import('./up.ts')).up(options));
  command(program, 'down', 'end the cluster on this machine cleanly: standbys first, the primary last')
    .option('--purge', 'then delete its folder with all data')
    .addOption(yes())
    .action(async (options) => (await import('./down.ts')).down(options));
}

/** `bin/matriarch` starts the agent itself; here stands what its help says. */
function addAgent(program: Command): void {
  program
    .command('agent')
    .description(
      'run one member on this machine, until a signal ends the agent: its PostgreSQL runs on for the next one to adopt',
    )
    .helpOption('-h, --help', 'print this help')
    .addOption(
      new Option('--config <file>', 'the configuration of the member').env('MATRIARCH_CONFIG').default(DEFAULT_CONFIG_FILE),
    )
    .option('--pod', 'in a pod: the member that what is mounted there describes; a signal ends it with its PostgreSQL')
    .action(() => {
      throw new MatriarchError('usage.invalidArgument', '`agent` is run by bin/matriarch, and takes no options before it');
    });
}

function addProxy(program: Command): void {
  program
    .command('proxy')
    .description(
      'pool connections and follow the primary, until a signal: SIGTERM lets transactions end, a second one or SIGINT does not, SIGHUP reads the files anew',
    )
    .helpOption('-h, --help', 'print this help')
    .addOption(new Option('--config <file>', 'the configuration of the proxy').env('MATRIARCH_PROXY_CONFIG'))
    .addOption(new Option('--pod', 'in a pod: what is mounted there').conflicts(['agents', 'dir', 'servers', 'listen']))
    .option('--agents <addresses>', 'MEMBER=HOST:PORT of the APIs of the members, separated by commas')
    .option('--tls-dir <dir>', 'with --agents: the folder `proxy` of `matriarch machines`')
    .option('--dir <dir>', 'the folder of a cluster of `up` on this machine')
    .option('--servers <addresses>', 'HOST:PORT of PostgreSQL servers without agents, separated by commas')
    .option('--user <role>', 'with --servers: the role that asks them')
    .option('--password-file <file>', 'with --servers: its password, in a file readable by its owner alone')
    .option('--listen <address>', 'HOST:PORT for clients (default: 127.0.0.1:6432)')
    .action(async ({ pod, ...options }) => {
      const given = pod === true ? { config: `${POD.configDir}/proxy.yaml` } : options;
      await (await import('#programs/proxy/main.ts')).proxy(given);
    });
}

function addOperator(program: Command): void {
  program
    .command('operator')
    .description('look after the PostgresClusters of a Kubernetes, until a signal: their agents go on by themselves')
    .helpOption('-h, --help', 'print this help')
    .option('--kubeconfig <file>', 'how to reach its API server (default: in a pod its service account, elsewhere KUBECONFIG)')
    .option('--watch <namespace>', 'look after the clusters of this namespace alone (default: of every one)')
    .option('--image <image>', 'the image of clusters that name none (default: its own, where its pod says so)')
    .action(async (options) => (await import('#programs/operator/main.ts')).operator(options));
}

function addStop(program: Command): void {
  program
    .command('stop')
    .description(
      'end the member on this machine for good: hand the lead over if it leads, stop its PostgreSQL cleanly, end its agent',
    )
    .helpOption('-h, --help', 'print this help')
    .addOption(config().default(DEFAULT_CONFIG_FILE))
    .action(async (options) => (await import('./stop.ts')).stop(options));
}

function addViews(program: Command): void {
  clusterCommand(program, 'status', 'who leads, who follows, and how far behind')
    .addOption(output())
    .option('--watch', 'keep it on the screen, fresh every second')
    .action(async (options) => (await import('./status.ts')).status(options));
  clusterCommand(program, 'history', 'who led when, and what justified it')
    .addOption(output())
    .action(async (options) => (await import('./history.ts')).history(options));
  clusterCommand(program, 'explain', 'why each member is what it is, and what would have to change, with the ids of the rules')
    .addArgument(new Argument('[member]', 'one member in full'))
    .addOption(output())
    .action(async (name, options) => (await import('./explain.ts')).explain(name, options));
}

function addRequests(program: Command): void {
  clusterCommand(
    program,
    'switchover',
    'hand the lead over, planned: no transaction is lost, work is held for less than a second',
  )
    .option('--to <member>', 'who leads next (default: the best placed)')
    .action(async (options) => (await import('./requests.ts')).switchover(options));
  clusterCommand(program, 'failover', 'have another member lead, also when the leader is gone')
    .option('--to <member>', 'who leads next (default: the best placed)')
    .option('--allow-data-loss', 'even where acknowledged transactions may be lost; what was given up is recorded')
    .addOption(yes())
    .action(async (options) => (await import('./requests.ts')).failover(options));
  clusterCommand(program, 'restart', 'restart the PostgreSQL of a member')
    .addArgument(member())
    .action(async (name, options) => (await import('./requests.ts')).restart(name, options));
  clusterCommand(program, 'reinit', 'throw the data of a member away and clone it anew from the leader')
    .addArgument(member())
    .addOption(yes())
    .action(async (name, options) => (await import('./requests.ts')).reinit(name, options));
  clusterCommand(program, 'forget', 'a member has left for good: nothing waits for it, keeps WAL for it, or lets it lead')
    .addArgument(member())
    .action(async (name, options) => (await import('./forget.ts')).forget(name, options));
  clusterCommand(program, 'pause', 'no automatic failover, restart, rewind or clone until `resume`').action(async (options) =>
    (await import('./requests.ts')).pause(options),
  );
  clusterCommand(program, 'resume', 'end a pause').action(async (options) => (await import('./requests.ts')).resume(options));
}

function addConfig(program: Command): void {
  const settings = program
    .command('config')
    .description('the dynamic configuration of the cluster')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false);
  clusterCommand(settings, 'show', 'print the configuration, defaults included')
    .addOption(new Option('-o, --output <format>', 'YAML, or JSON').choices(['yaml', 'json']).default('yaml'))
    .action(async (options) => (await import('./config.ts')).showConfig(options));
  clusterCommand(settings, 'set', 'change settings; all of them, or none')
    .addArgument(new Argument('<setting=value...>', 'for example timings.leaseMs=15s; nothing after the sign sets the default'))
    .action(async (changes, options) => (await import('./config.ts')).setConfig(changes, options));
  clusterCommand(settings, 'edit', 'change the configuration in VISUAL or EDITOR').action(async (options) =>
    (await import('./config.ts')).editConfig(options),
  );
}

function addTools(program: Command): void {
  clusterCommand(program, 'logs', 'the log of a member: its agent and its PostgreSQL; or of the proxy')
    .addArgument(new Argument('<member>', 'the name of the member, or `proxy`'))
    .option('-f, --follow', 'go on with what is written from now on')
    .addOption(new Option('-n, --lines <n>', 'how many lines of the past').argParser(integer(0, 100_000)).default(100))
    .action(async (name, options) => (await import('./logs.ts')).logs(name, options));
  clusterCommand(program, 'psql', 'open psql; the password comes along by itself')
    .addArgument(new Argument('[args...]', 'for psql, after --'))
    .addOption(new Option('--primary', 'on the primary (the default)').conflicts(['replica', 'member']))
    .addOption(new Option('--replica', 'on a standby, on the primary if there is none').conflicts(['primary', 'member']))
    .addOption(new Option('--member <member>', 'on this member').conflicts(['primary', 'replica']))
    .action(async (args, options) => (await import('./psql.ts')).psql(args, options));
}

const machinesDir = () =>
  new Option('--dir <dir>', 'the folder with the authority, the passwords and the files of every machine').makeOptionMandatory();
const machine = () =>
  new Argument('<member=host>', 'NAME=HOST[:PORT[:APIPORT]]; PostgreSQL at 5432, the API 100 above, if not said');

function group(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).helpOption('-h, --help', 'print this help').helpCommand(false);
}

function addMachines(program: Command): void {
  const machines = group(program, 'machines', 'the files of a cluster whose members have a machine each');
  const sub = (name: string, description: string) =>
    machines.command(name).description(description).helpOption('-h, --help', 'print this help').addOption(machinesDir());
  sub('init', 'make the authority, the passwords, and one folder a member with what belongs on its machine')
    .addOption(new Option('--name <name>', 'the name of the cluster').argParser(clusterName).makeOptionMandatory())
    .requiredOption('--member <member=host...>', 'one for each member: NAME=HOST[:PORT[:APIPORT]]; 5432 and 5532 if not said')
    .requiredOption('--etcd <urls>', 'the URLs of the members of etcd, separated by commas')
    .option('--etcd-ca <file>', 'the authority that signed the certificates of etcd')
    .option('--etcd-certificate <file>', 'the certificate that etcd asks its clients for')
    .option('--etcd-key <file>', 'its key')
    .option('--etcd-user <name>', 'the user of etcd')
    .option('--etcd-password-file <file>', 'the file with its password')
    .option('--etcd-plaintext', 'allow http:// beyond the own machine')
    .option('--postgres-bin <dir>', 'the folder of the PostgreSQL programs on the machines (default: as on this one)')
    .addOption(
      new Option(
        '--durability <mode>',
        'when a commit counts as done (default: required with 3 members or more, preferred with 2, async with 1)',
      ).choices(['required', 'preferred', 'async']),
    )
    .option('--member-dir <dir>', 'the folder of the data on the machines', '/var/lib/matriarch')
    .option(
      '--wal-dir <dir>',
      'a folder on a disk of its own for the write-ahead log, there on every machine (default: with the data)',
    )
    .option('--config-dir <dir>', 'the folder of the configuration on the machines', '/etc/matriarch')
    .option('--user <user>', 'who the agent and PostgreSQL run as there', 'postgres')
    .action(async (options) => (await import('./machines.ts')).initMachines(options));
  sub('add', 'make the files of one more member, which joins when its agent starts')
    .addArgument(machine())
    .action(async (text, options) => (await import('./machines.ts')).addMachine(text, options));
  sub('remove', 'throw the files of a member away that has left')
    .addArgument(member())
    .action(async (name, options) => (await import('./machines.ts')).removeMachine(name, options));
  sub('address', 'make the files of a member that moves to another address')
    .addArgument(machine())
    .action(async (text, options) => (await import('./machines.ts')).moveMachine(text, options));
}

function addCertificates(program: Command): void {
  const certificates = group(program, 'certificates', 'the certificates of the cluster, renewed while it works');
  command(certificates, 'renew', 'new certificates for every member and the proxies, by the same authorities').action(
    async (options) => (await import('./certificates.ts')).renew(options),
  );
  command(certificates, 'rotate', 'a new authority in three stages, each of which waits until every member has followed')
    .option('--applied', 'of the members whose agents do not answer, take it that they have the files')
    .action(async (options) => (await import('./certificates.ts')).rotate(options));
}

function addKubernetes(program: Command): void {
  program
    .command('manifests')
    .description('a cluster for Kubernetes as YAML that runs without the operator, with secrets drawn at random')
    .helpOption('-h, --help', 'print this help')
    .addArgument(new Argument('<name>', 'the name of the cluster').argParser(clusterName))
    .option('-n, --namespace <namespace>', 'the namespace, which is made too (default: none is named, kubectl chooses)')
    .addOption(new Option('--instances <n>', 'how many members (default: 3)').argParser(integer(1, 16)))
    .option('--image <image>', 'the image of Matriarch', DEFAULT_IMAGE)
    .option('--storage-size <quantity>', 'the size of the volume of each member (default: 10Gi)')
    .option('--storage-class <name>', 'its storage class (default: that of the Kubernetes cluster)')
    .addOption(
      new Option('--node-port <port>', 'a Service at this port of every node, for clients from outside').argParser(
        integer(1, 65_535),
      ),
    )
    .option('--spec <file>', 'a PostgresCluster whose `spec` says the rest')
    .option('--kubernetes <version>', 'the version of the Kubernetes that reads them', '1.32')
    .option('--out <dir>', 'write files there instead of printing; secrets that are there already stay')
    .action(async (name, options) => (await import('./manifests.ts')).manifests(name, options));
}

const USAGE_CODES: Readonly<Record<string, ErrorCode>> = {
  'commander.unknownOption': 'usage.unknownOption',
  'commander.unknownCommand': 'usage.unknownCommand',
};

/** Of a command that is only a group. */
function namesOf(program: Command, name: string | undefined): string {
  const children = program.commands.find((one) => one.name() === name)?.commands ?? [];
  return `${name} takes one of: ${children.map((one) => one.name()).join(', ')}`;
}

/**
 * Runs one command line, without the name of the program. What commander finds wrong becomes one of our errors; help and version are
 * none. Without a command the help is shown.
 */
export async function runProgram(args: readonly string[]): Promise<void> {
  const program = buildProgram();
  if (args.length === 0) return void process.stdout.write(program.helpInformation());
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    if (error.code === 'commander.help') throw new MatriarchError('usage.invalidArgument', namesOf(program, args[0]));
    const code = USAGE_CODES[error.code] ?? 'usage.invalidArgument';
    throw new MatriarchError(
      code,
      error.message.replace(/^error: /, '').replace(/\n\(Did you mean (.*)\?\)/, '; did you mean $1?'),
    );
  }
}
