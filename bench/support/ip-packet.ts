// The checksum of TCP in an IPv4 packet. Source: RFC 9293, section 3.1; RFC 1071.

const TCP = 6;
const IPV4 = 4;
const TCP_CHECKSUM_AT = 16;

/** Puts the checksum of TCP into a packet that has none yet; leaves every other packet alone. */
export function fillTcpChecksum(packet: Buffer): void {
  if (packet.length < 20 || packet[0]! >> 4 !== IPV4 || packet[9] !== TCP) return;
  const headerLength = (packet[0]! & 15) * 4;
  const segment = packet.subarray(headerLength, packet.readUInt16BE(2));
  if (segment.length < TCP_CHECKSUM_AT + 2) return;
  segment.writeUInt16BE(0, TCP_CHECKSUM_AT);
  let sum = TCP + segment.length;
  for (let at = 12; at < 20; at += 2) sum += packet.readUInt16BE(at);
  for (let at = 0; at + 1 < segment.length; at += 2) sum += segment.readUInt16BE(at);
  if (segment.length % 2 === 1) sum += segment.at(-1)! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  segment.writeUInt16BE(~sum & 0xffff, TCP_CHECKSUM_AT);
}
