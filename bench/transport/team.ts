import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { MALLOC_SETTINGS } from '../../runtime/process/process-settings.ts';
import type { Order, Outcome } from './orders.ts';
import { HOST } from './orders.ts';

const PEER = fileURLToPath(new URL('peer.ts', import.meta.url));

/** The processes of the bench. */
export class Team {
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  static async start(count: number): Promise<Team> {
    const env = { ...process.env, ...MALLOC_SETTINGS };
    const team = new Team(Array.from({ length: count }, () => fork(PEER, { env, serialization: 'advanced' })));
    const ports = { transport: await freePorts(count), raw: await freePorts(count) };
    await team.#tell((self) => ({ kind: 'join', self, ports }));
    return team;
  }

  /** Lets all do the same at once. */
  order(order: Order): Promise<Outcome[]> {
    return this.#tell(() => order);
  }

  /** Milliseconds that the slowest took. */
  async slowestMs(order: Order): Promise<number> {
    const outcomes = await this.order(order);
    return Math.max(...outcomes.map(({ ms = 0 }) => ms));
  }

  async end(): Promise<void> {
    await this.order({ kind: 'leave' });
    for (const child of this.#children) child.disconnect();
  }

  #tell(orderFor: (self: number) => Order): Promise<Outcome[]> {
    return Promise.all(
      this.#children.map(async (child, self) => {
        const answer = once(child, 'message');
        child.send(orderFor(self));
        const [outcome]: Outcome[] = await answer;
        if (outcome?.failure !== undefined) throw new Error(outcome.failure);
        return outcome!;
      }),
    );
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, HOST));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
