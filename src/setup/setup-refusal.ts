// Why the installer will not do what it was asked to: a mistake in the request, or something that is not ours in its way.

/** The caller has to decide something first; nothing was changed. The text names thing, place and remedy. */
export class SetupRefusal extends Error {
  override readonly name = 'SetupRefusal';
}
