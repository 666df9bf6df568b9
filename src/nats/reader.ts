import type { ConfBlock } from './conf-text.ts';

/** What the reader may do: `strict` looks and gets, `consuming` makes consumers besides. */
export type ReaderAccess = 'strict' | 'consuming';

interface Service {
  subject: string;
  /** Many messages may answer one request; without them its answers are forgotten after so many seconds. */
  stream?: { seconds: number };
}

/**
 * What the reader may ask for. It lives in an account of its own that imports exactly these services, as a reader
 * within the data's account could write by way of replies. The server keeps an entry for each request whose answers
 * are a stream until its time is over, not until the last answer.
 */
const SERVICES: { [Access in ReaderAccess]: readonly Service[] } = {
  strict: [
    { subject: '$JS.API.INFO' },
    { subject: '$JS.API.STREAM.NAMES' },
    { subject: '$JS.API.STREAM.LIST' },
    { subject: '$JS.API.STREAM.INFO.*' },
    { subject: '$JS.API.STREAM.MSG.GET.*' },
    { subject: '$JS.API.CONSUMER.NAMES.*' },
    { subject: '$JS.API.CONSUMER.LIST.*' },
    { subject: '$JS.API.CONSUMER.INFO.*.*' },
    { subject: '$JS.API.DIRECT.GET.>', stream: { seconds: 5 } },
  ],
  // Of pull requests, heartbeats are answers too: clients ask for one every 30 seconds at least.
  consuming: [
    { subject: '$JS.API.CONSUMER.CREATE.>' },
    { subject: '$JS.API.CONSUMER.MSG.NEXT.*.*', stream: { seconds: 120 } },
    { subject: '$JS.FC.>' },
  ],
};

/** Where consumers push to: clients that consume choose it as the prefix of their inboxes. */
const DELIVERIES = '_READER.>';

function servicesOf(access: ReaderAccess): readonly Service[] {
  return access === 'consuming' ? [...SERVICES.strict, ...SERVICES.consuming] : SERVICES.strict;
}

/** What the account of the data offers to the account `reader`. */
export function readerExports(reader: string, access: ReaderAccess): ConfBlock[] {
  const services = servicesOf(access).map(({ subject, stream }) => ({
    service: subject,
    ...(stream ? { response_type: 'stream', response_threshold: `${stream.seconds}s` } : {}),
    accounts: [reader],
  }));
  return access === 'consuming' ? [...services, { stream: DELIVERIES, accounts: [reader] }] : services;
}

/** The account of the reader, which takes that from the account `data`. */
export function readerAccount(user: string, data: string, access: ReaderAccess): ConfBlock {
  const subjects = servicesOf(access).map(({ subject }) => subject);
  const consuming = access === 'consuming';
  return {
    users: [
      {
        user,
        permissions: {
          publish: { allow: [...subjects, '$SYS.REQ.USER.INFO'] },
          subscribe: { allow: ['_INBOX.>', ...(consuming ? [DELIVERIES] : [])] },
        },
      },
    ],
    imports: [
      ...subjects.map((subject) => ({ service: { account: data, subject } })),
      ...(consuming ? [{ stream: { account: data, subject: DELIVERIES } }] : []),
    ],
  };
}
