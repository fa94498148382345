// Addresses made from the user's variables: the generated From field and the default envelope sender. Both are first
// printed as a field and then read like an incoming one, so a host variable may hold whatever a field may hold.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, concatBytes } from '../bytes/bytes.ts';
import { rewriteAddressList } from './address-list.ts';
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
export const VERP_MARK = bytesOf('-@[]');

/** The generated field `NAME: …` with the user's address and personal name. */
export function generateFrom(
  fieldName: 'From' | 'Resent-From',
  user: InjectUser,
  defaults: RewriteDefaults,
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

  const line = printTokens(tokens);
  const rewritten = rewriteLine(line, (address, result) => rewriteAddress(address, defaults, result));
  return rewritten ? printTokens(rewritten) : unparsableLine(line);
}

/** The envelope sender when neither -f nor a Return-Path field gave one; `uniqueText` serves one sender per message. */
export function defaultSender(
  user: InjectUser,
  defaults: RewriteDefaults,
  uniqueText: string,
): Uint8Array | InjectFailure {
  const parts = [user.senderUser];
  if (user.perMessage) parts.push(bytesOf(`-${uniqueText}`));
  if (user.perRecipient) parts.push(bytesOf('-'));
  const tokens = fieldStart('Return-Path');
  tokens.append(QUOTED, concatBytes(parts));
  appendHost(tokens, user.senderHost);

  const line = printTokens(tokens);
  const sender = new ByteBuffer(64);
  let isFound = false;
  const rewritten = rewriteLine(line, (address, result) => {
    rewriteAddress(address, defaults, result);
    // The first one to come up is the rightmost.
    if (!isFound) appendEnvelopeForm(sender, result);
    isFound = true;
  });
  if (rewritten === undefined) return unparsableLine(line);
  if (user.perRecipient) sender.append(VERP_MARK);
  return sender.toBytes();
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

function rewriteLine(
  line: Uint8Array,
  rewriteOne: (address: TokenList, result: TokenList) => void,
): TokenList | undefined {
  const tokens = parseTokens(line);
  return tokens && rewriteAddressList(tokens, rewriteOne);
}
