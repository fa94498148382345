// Addresses made from the user's variables: the generated From field and the default envelope sender. Both are first
// printed as a field and then read like an incoming one, so a host variable may hold whatever a field may hold.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, concatBytes } from '../bytes/bytes.ts';
import { AddressListRewriter, type RewriteOne } from './address-list.ts';
import { type InjectFailure, type InjectUser, unparsableLine } from './inject-settings.ts';
import { printTokens } from './print-tokens.ts';
import { needsQuoting } from './quote.ts';
import { type RewriteDefaults, rewriteAddress } from './rewrite-address.ts';
import {
  AT,
  ATOM,
  appendEnvelopeForm,
  COLON,
  COMMENT,
  LEFT,
  parseTokens,
  QUOTED,
  RIGHT,
  TokenList,
} from './tokens.ts';

/** End of a sender that asks for one envelope sender per recipient. */
const VERP_MARK = bytesOf('-@[]');

/** Is told what rewriting added to an address made here; see COMPLETED of inject-observer.ts. */
type OnCompleted = (completed: number) => void;

/** The generated field `NAME: …` with the user's address and personal name. */
export function generateFrom(
  fieldName: 'From' | 'Resent-From',
  user: InjectUser,
  defaults: RewriteDefaults,
  onCompleted?: OnCompleted,
): Uint8Array | InjectFailure {
  const tokens = fieldStart(fieldName);
  const isNameFirst = user.name !== undefined && !user.nameAsComment;
  if (user.name !== undefined && isNameFirst) {
    tokens.append(QUOTED, user.name);
    tokens.begin(LEFT);
  }
  tokens.append(needsQuoting(user.user) ? QUOTED : ATOM, user.user);
  appendHost(tokens, user.host);
  if (isNameFirst) tokens.begin(RIGHT);
  else if (user.name !== undefined) tokens.append(COMMENT, user.name);

  const line = printed(tokens);
  const rewritten = rewriteLine(line, (address, result) => {
    const completed = rewriteAddress(address, defaults, result);
    onCompleted?.(completed);
  });
  return rewritten ? printed(rewritten, true) : unparsableLine(line);
}

/** The envelope sender when neither -f nor a Return-Path field gave one; `uniqueText` serves one sender per message. */
export function defaultSender(
  user: InjectUser,
  defaults: RewriteDefaults,
  uniqueText: string,
  onCompleted?: OnCompleted,
): Uint8Array | InjectFailure {
  const parts = [user.senderUser];
  if (user.perMessage) parts.push(bytesOf(`-${uniqueText}`));
  if (user.perRecipient) parts.push(bytesOf('-'));
  const tokens = fieldStart('Return-Path');
  tokens.append(QUOTED, concatBytes(parts));
  appendHost(tokens, user.senderHost);

  const line = printed(tokens);
  const sender = new ByteBuffer(64);
  let isFound = false;
  const rewritten = rewriteLine(line, (address, result) => {
    const completed = rewriteAddress(address, defaults, result);
    // The first one to come up is the rightmost.
    if (isFound) return;
    appendSender(sender, result, user);
    onCompleted?.(completed);
    isFound = true;
  });
  return rewritten ? sender.view() : unparsableLine(line);
}

/** Appends an envelope sender, marked if the user wants one sender per recipient. */
export function appendSender(target: ByteBuffer, address: TokenList, user: InjectUser): void {
  const isWhole = appendEnvelopeForm(target, address);
  if (isWhole && user.perRecipient) target.append(VERP_MARK);
}

function fieldStart(name: string): TokenList {
  const tokens = new TokenList();
  tokens.append(ATOM, bytesOf(name));
  tokens.begin(COLON);
  return tokens;
}

function appendHost(tokens: TokenList, host: Uint8Array | undefined): void {
  if (host === undefined) return;
  tokens.begin(AT);
  tokens.append(ATOM, host);
}

function printed(tokens: TokenList, isReversed = false): Uint8Array {
  const line = new ByteBuffer(128);
  printTokens(line, tokens, isReversed);
  return line.view();
}

/** The line's tokens with addresses rewritten, last token first; undefined if it cannot be parsed. */
function rewriteLine(line: Uint8Array, rewriteOne: RewriteOne): TokenList | undefined {
  const tokens = parseTokens(line);
  if (tokens === undefined) return undefined;
  const rewriter = new AddressListRewriter();
  return rewriter.rewrite(tokens, rewriteOne) ? rewriter.output : undefined;
}
