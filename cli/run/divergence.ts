/** What a run that ended with a loss that is no number is told to have done, and what to do about it. */
export const DIVERGENCE: string =
  'training has diverged: the last loss is no number; lower training.optimizer.learningRate or set gradientClipNorm, and begin anew, or go ' +
  'on from a checkpoint before the last, whose folder is to be removed';
