import { digObjects, digText, type JsonObject } from '../json.ts';

/** A stream or consumer, and the API level of the features that it uses. */
export interface Asset {
  /** "stream DEFAULT/EVENTS", "consumer DEFAULT/EVENTS/worker" */
  name: string;
  apiLevel: number;
}

/** Asks a server for the configuration of all of its streams and consumers. */
export const ASSETS_PATH = '/jsz?streams=true&consumers=true&config=true';

/**
 * The streams and consumers of which a server of that API level does not know all features: it would drop them from their
 * configuration without a word, or not run them, and what is stored by them would be read wrongly.
 *
 * @param reports what the servers answer at ASSETS_PATH
 */
export function assetsAbove(reports: JsonObject[], apiLevel: number): Asset[] {
  const found = new Map<string, Asset>();
  for (const asset of reports.flatMap(assetsOf)) if (asset.apiLevel > apiLevel) found.set(asset.name, asset);
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
}

function assetsOf(report: JsonObject): Asset[] {
  return digObjects(report, 'account_details').flatMap((account) =>
    digObjects(account, 'stream_detail').flatMap((stream) => {
      const name = `${digText(account, 'name')}/${digText(stream, 'name')}`;
      const consumers = digObjects(stream, 'consumer_detail').map((consumer) =>
        asset(`consumer ${name}/${digText(consumer, 'name')}`, consumer),
      );
      return [asset(`stream ${name}`, stream), ...consumers];
    }),
  );
}

/** Servers from 2.11 on note the level as metadata: https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-44.md */
function asset(name: string, detail: JsonObject): Asset {
  return { name, apiLevel: Number(digText(detail, 'config', 'metadata', '_nats.req.level') || 0) };
}
