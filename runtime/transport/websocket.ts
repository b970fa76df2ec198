import type { Identity } from './authentication.ts';
import { callPeer } from './call.ts';
import { Endpoint } from './endpoint.ts';
import type { Address } from './listen.ts';
import type { PeerServer, TlsFiles } from './server.ts';
import { listenForPeers } from './server.ts';
import type { Transport } from './transport.ts';
import { PeerError } from './transport.ts';
import { SharedMemoryLink } from './shared-memory-link.ts';
import type { Upgraded } from './upgrade.ts';
import { WebSocketLink } from './websocket-link.ts';
import { messageOf } from '../../soap/message-of.ts';

export interface WebSocketTransportOptions extends Identity {
  /** Every other device of the job that is reached over the network. */
  readonly peers: ReadonlyMap<number, Address>;
  /** Those of them that are processes of this machine; large tensors go to them through shared memory. */
  readonly neighbours?: ReadonlySet<number>;
  readonly listen: Address;
  /**
   * Told the port it listens on, gives those of the other devices, once they listen. For devices that take any free port; where
   * left out, the ports are in `peers`.
   */
  exchangePorts?(own: number): Promise<ReadonlyMap<number, number>>;
  /** Undefined for plain WebSockets. */
  readonly tls?: TlsFiles;
  /** How long peers may take to come up. */
  readonly connectTimeoutMs: number;
  /** What a peer may send before it is asked for. */
  readonly windowBytes?: number;
}

/**
 * Connects a device with all its peers, one WebSocket for each pair: a device calls the peers of higher id and is called by
 * those of lower. Resolves when every peer has proved that it knows the token.
 * @param endpoint has the links to peers that are reached another way
 * @throws {PeerError} naming the peer that did not come in time
 * @throws {Error} where the port is taken, or the TLS files are no good
 */
export async function connectWebSocketTransport(
  options: WebSocketTransportOptions,
  endpoint: Endpoint = new Endpoint(options.self, options.windowBytes),
): Promise<Transport> {
  const meeting = new Meeting(options, endpoint);
  let server: PeerServer | undefined;
  try {
    server = await listenForPeers({
      identity: options,
      listen: options.listen,
      tls: options.tls,
      refusal: (device) => meeting.refusal(device),
      onPeer: (device, connection) => meeting.join(device, connection),
      onRefused: (reason) => meeting.refused(reason),
    });
    await meeting.complete(server.port);
    await endpoint.opened();
    return endpoint;
  } catch (error) {
    await endpoint.close(messageOf(error));
    throw error;
  } finally {
    // Everyone has come, or will not be waited for.
    server?.stopListening();
  }
}

/** The peers of a device as they come. */
class Meeting {
  readonly #options: WebSocketTransportOptions;
  readonly #endpoint: Endpoint;
  readonly #deadlineMs: number;
  #onCome: () => void = () => undefined;
  #lastRefusal: string | undefined;
  #over = false;

  constructor(options: WebSocketTransportOptions, endpoint: Endpoint) {
    this.#options = options;
    this.#endpoint = endpoint;
    this.#deadlineMs = performance.now() + options.connectTimeoutMs;
  }

  refusal(device: number): string | undefined {
    if (this.#options.peers.has(device) && device < this.#options.self && !this.#endpoint.has(device)) return undefined;
    return `a second device ${device}, or one that the job does not have, asked to join`;
  }

  refused(reason: string): void {
    this.#lastRefusal = reason;
  }

  join(peer: number, connection: Upgraded): void {
    const { connectTimeoutMs, neighbours } = this.#options;
    const isNear = neighbours?.has(peer) === true;
    const socketLink = new WebSocketLink(connection, { patienceMs: connectTimeoutMs, isNear });
    const link = isNear ? new SharedMemoryLink(socketLink) : socketLink;
    this.#endpoint.join(peer, (events) => link.attach(events));
    this.#onCome();
  }

  /** Calls those of higher id, and waits for the others. */
  async complete(ownPort: number): Promise<void> {
    const { peers, self, tls } = this.#options;
    const ports = await this.#exchangePorts(ownPort);
    const call = { identity: this.#options, tls, deadlineMs: this.#deadlineMs, wanted: () => !this.#over };
    const callees = [...peers].filter(([peer]) => peer > self);
    const calls = callees.map(([peer, { host, port }]) =>
      callPeer(peer, { host, port: ports?.get(peer) ?? port }, call, (connection) => this.join(peer, connection)),
    );
    try {
      await Promise.all([...calls, this.#allCome()]);
    } finally {
      this.#over = true;
    }
  }

  async #exchangePorts(own: number): Promise<ReadonlyMap<number, number> | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      const error = new Error('the ports of the other devices were not told in time; see why they did not start');
      timer = setTimeout(() => reject(error), this.#deadlineMs - performance.now());
    });
    try {
      return await Promise.race([this.#options.exchangePorts?.(own), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  #allCome(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { peers, self } = this.#options;
      const missing = (): number[] => [...peers.keys()].filter((peer) => peer < self && !this.#endpoint.has(peer));
      const timer = setTimeout(() => {
        const why = this.#lastRefusal === undefined ? '' : ` (a connection was refused: ${this.#lastRefusal})`;
        const [first] = missing();
        reject(
          new PeerError(first!, `device ${missing().join(', ')} did not join in time${why}; see why it did not start`, {
            isFault: true,
          }),
        );
      }, this.#deadlineMs - performance.now());
      this.#onCome = () => {
        if (missing().length > 0) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onCome();
    });
  }
}
