import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import test from 'ava';

const CHECKOUT = new URL('..', import.meta.url).pathname;
const PROGRAMS = ['soap', 'operator', 'runtime', 'cli'];

/** What a file is in: the folder of a program, or the program itself. */
function roomOf(file: string): string {
  return dirname(file).split('/').slice(0, 2).join('/');
}

function programOf(room: string): string {
  return room.split('/')[0]!;
}

/** By room, the other rooms that it imports. */
async function importsOfRooms(programs: readonly string[] = PROGRAMS): Promise<Map<string, Set<string>>> {
  const rooms = new Map<string, Set<string>>();
  for (const program of programs) {
    for (const name of await readdir(join(CHECKOUT, program), { recursive: true })) {
      if (!name.endsWith('.ts')) continue;
      const file = join(program, name);
      const imported = rooms.get(roomOf(file)) ?? new Set();
      rooms.set(roomOf(file), imported);
      const source = await readFile(join(CHECKOUT, file), 'utf8');
      for (const [, path = ''] of source.matchAll(/(?:from |import\(|new URL\()'(\.[^']*\.ts)'/g)) {
        const room = roomOf(normalize(join(dirname(file), path)));
        if (room !== roomOf(file)) imported.add(room);
      }
    }
  }
  return rooms;
}

/** The rooms that can be reached from one, along what rooms import. */
function reachedFrom(start: string, rooms: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const reached = new Set<string>();
  const open = [start];
  for (let room = open.pop(); room !== undefined; room = open.pop()) {
    for (const next of rooms.get(room) ?? []) {
      if (reached.has(next)) continue;
      reached.add(next);
      open.push(next);
    }
  }
  return reached;
}

test('what a folder of a program imports leads nowhere back to it: each can be read after those below it', async (t) => {
  const rooms = await importsOfRooms([...PROGRAMS, 'monitoring']);
  t.true(rooms.get('monitoring')?.has('monitoring/promql'), 'the imports are found');
  t.true(rooms.get('soap/tasks')?.has('soap/strategy'), 'the imports are found');
  const inCircles = [...rooms.keys()].filter((room) => reachedFrom(room, rooms).has(room));
  t.deepEqual(inCircles, []);
});

test('docs/architecture.md lists the folders of the programs, each below all that it imports', async (t) => {
  const rooms = await importsOfRooms();
  const page = await readFile(join(CHECKOUT, 'docs/architecture.md'), 'utf8');
  const listed = [...page.matchAll(/^\| `((?:soap|operator|runtime|cli)\/[\w-]+)` /gm)].map(([, room = '']) => room);
  const folders = [...rooms.keys()].filter((room) => room.includes('/'));
  t.deepEqual(listed.toSorted(), [...folders, 'cli/bin'].toSorted());
  const tooHigh = listed.flatMap((room, place) =>
    [...(rooms.get(room) ?? [])]
      .filter((imported) => programOf(imported) === programOf(room) && listed.indexOf(imported) > place)
      .map((imported) => `${room} imports ${imported}, which stands below it`),
  );
  t.deepEqual(tooHigh, []);
});
