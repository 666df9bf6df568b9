import type { ConfBlock } from './conf-text.ts';

/**
 * What the reader may ask JetStream for. It lives in an account of its own that imports exactly these services, as a
 * reader within the data's account could write by way of replies. A stream response: many messages may answer one.
 */
const READER_SERVICES: readonly { subject: string; streams?: true }[] = [
  { subject: '$JS.API.INFO' },
  { subject: '$JS.API.STREAM.NAMES' },
  { subject: '$JS.API.STREAM.LIST' },
  { subject: '$JS.API.STREAM.INFO.*' },
  { subject: '$JS.API.STREAM.MSG.GET.*' },
  { subject: '$JS.API.CONSUMER.NAMES.*' },
  { subject: '$JS.API.CONSUMER.LIST.*' },
  { subject: '$JS.API.CONSUMER.INFO.*.*' },
  { subject: '$JS.API.DIRECT.GET.>', streams: true },
];

/** The services that the account of the data offers to the account `reader`. */
export function readerExports(reader: string): ConfBlock[] {
  return READER_SERVICES.map(({ subject, streams }) => ({
    service: subject,
    ...(streams ? { response_type: 'stream' } : {}),
    accounts: [reader],
  }));
}

/** The account of the reader, which takes those services from the account `data`. */
export function readerAccount(user: string, data: string): ConfBlock {
  return {
    users: [
      {
        user,
        permissions: {
          publish: { allow: [...READER_SERVICES.map(({ subject }) => subject), '$SYS.REQ.USER.INFO'] },
          subscribe: { allow: ['_INBOX.>'] },
        },
      },
    ],
    imports: READER_SERVICES.map(({ subject }) => ({ service: { account: data, subject } })),
  };
}
