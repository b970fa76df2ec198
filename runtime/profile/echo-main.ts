/** The other end of measured messages: sends back what comes. */
import process from 'node:process';
import type { EchoOrders } from './measure-messages.ts';
import { connectEnds, rounds, tagOf } from './measure-messages.ts';
import { messageOf } from '../../soap/message-of.ts';

process.once('message', (orders: EchoOrders) => {
  const echo = async (): Promise<void> => {
    const transport = await connectEnds(1, orders, (own) => {
      process.send?.(own);
      // The first end is not called: a device calls those of higher id alone.
      return Promise.resolve(0);
    });
    for (const bytes of orders.sizes) {
      for (let round = 0; round < rounds(bytes); round++) {
        const payload = await transport.receive(0, tagOf(bytes, round), bytes);
        await transport.send(0, tagOf(bytes, round), payload);
      }
    }
    await transport.close();
  };
  echo().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${messageOf(error)}\n`);
      process.exit(1);
    },
  );
});
