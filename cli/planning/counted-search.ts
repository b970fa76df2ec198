/** Time budget of a search that is to end by counting its proposals, so that it ends alike on any machine. */
export const COUNTED_SECONDS = 600;
