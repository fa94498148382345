// qreceipt: answers a sender who asks, in the message, to be told of its delivery.
// Invariant: no receipt for a message from nobody, and receipts come from nobody, so that they never answer each other.
// Source: the qreceipt manual page.

import { ByteBuffer } from '../core/bytes/byte-buffer.ts';
import { bytesOf, concatBytes, equalBytes, textOf } from '../core/bytes/bytes.ts';
import { formatQueueEnvelope } from '../core/format/queue-envelope.ts';
import { AddressListRewriter } from '../core/message/address-list.ts';
import { HeaderSplitter, isFieldNamed } from '../core/message/header-field.ts';
import { quoteAddress } from '../core/message/quote.ts';
import { appendEnvelopeForm, parseTokens } from '../core/message/tokens.ts';
import { outcomeOfQueueResult } from '../core/policy/outcome.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { readStandardInput } from '../host/standard-input.ts';
import { failTemporarily } from './fatal.ts';
import { openQueueProgram } from './open-queue-program.ts';
import { failPermanently, refuseUsage } from './refuse.ts';

const PROGRAM = 'qreceipt';
const CHUNK_BYTES = 65_536;
/** Envelope senders of messages that nobody is to answer, besides the empty one. */
const DOUBLE_BOUNCE = '#@[]';

/** Runs qreceipt to its end; returns its exit code. */
export async function runQreceipt(call: ProgramCall): Promise<number> {
  const [address] = call.args;
  const sender = call.env.get('SENDER');
  if (address === undefined || sender === undefined) return refuseUsage(PROGRAM, 'qreceipt deliveryaddress');
  const request = new ReceiptRequest(address);
  try {
    readHeader(request);
  } catch {
    return failTemporarily(PROGRAM, 'read error');
  }
  if (request.unparsable !== undefined) {
    // The field has its own line end.
    const field = request.unparsable.subarray(0, request.unparsable.length - 1);
    return failPermanently(PROGRAM, 'unable to parse this: ', field);
  }
  if (!request.isWanted || sender.length === 0 || textOf(sender) === DOUBLE_BOUNCE) return 0;
  return sendReceipt(call, sender, formatReceipt(sender, address, request.messageId));
}

/** What the header says about a receipt. */
class ReceiptRequest {
  /** Whether the address is among those for which a receipt is wanted. */
  isWanted = false;
  /** The Message-ID field as it came; empty if there is none. */
  messageId: Uint8Array = new Uint8Array(0);
  /** The field that is no list of addresses, if there is one. */
  unparsable: Uint8Array | undefined;
  readonly #address: Uint8Array;
  readonly #lists = new AddressListRewriter();

  constructor(address: Uint8Array) {
    this.#address = address;
  }

  onField(field: Uint8Array): void {
    if (isFieldNamed(field, 'message-id')) this.messageId = Uint8Array.from(field);
    else if (isFieldNamed(field, 'notice-requested-upon-delivery-to')) this.#onRequest(field);
  }

  #onRequest(field: Uint8Array): void {
    const tokens = parseTokens(field);
    const isList =
      tokens !== undefined &&
      this.#lists.rewrite(tokens, (address) => {
        const envelopeForm = new ByteBuffer();
        const isWhole = appendEnvelopeForm(envelopeForm, address);
        if (isWhole && equalBytes(envelopeForm.view(), this.#address)) this.isWanted = true;
      });
    if (!isList) this.unparsable ??= Uint8Array.from(field);
  }
}

/** Reads up to the end of the header, or a field that cannot be understood. @throws SystemError */
function readHeader(request: ReceiptRequest): void {
  const splitter = new HeaderSplitter((field) => request.onField(field));
  const buffer = new Uint8Array(CHUNK_BYTES);
  while (splitter.bodyStart === undefined && request.unparsable === undefined) {
    const count = readStandardInput(buffer);
    if (count === 0) splitter.receiveEnd();
    else splitter.receive(buffer.subarray(0, count));
  }
}

function formatReceipt(sender: Uint8Array, address: Uint8Array, messageId: Uint8Array): Uint8Array {
  const quoted = quoteAddress(sender);
  const parts = [
    bytesOf('From: DELIVERY NOTICE SYSTEM <'),
    quoted,
    bytesOf('>\nTo: <'),
    quoted,
    bytesOf('>\nSubject: success notice\n\n'),
    bytesOf('Hi! This is the qreceipt program. Your message was delivered to the\nfollowing address: '),
    address,
    bytesOf('. Thanks for asking.\n'),
  ];
  return concatBytes(messageId.length === 0 ? parts : [...parts, bytesOf('Your '), messageId]);
}

async function sendReceipt(
  { home, ownBin, env }: ProgramCall,
  sender: Uint8Array,
  message: Uint8Array,
): Promise<number> {
  const queue = openQueueProgram({ home, ownBin, env: env.strings, customText: false });
  await queue.write(message);
  const envelope = formatQueueEnvelope({ sender: new Uint8Array(0), recipients: [sender] });
  const result = await queue.finish(envelope).catch(() => undefined);
  if (result === undefined) return failTemporarily(PROGRAM, 'unable to fork');
  const { letter } = outcomeOfQueueResult(result);
  if (letter === 'D') return failPermanently(PROGRAM, 'permanent qmail-queue error');
  return letter === 'Z' ? failTemporarily(PROGRAM, 'temporary qmail-queue error') : 0;
}
