/** Of this package; plan files say which version wrote them. */
export const SOAPSTONE_VERSION = '0.1.0';
