import type { CostRecipe, CostSource } from './cost-source.ts';
import { createMeasuredCosts } from './measured.ts';
import { createRooflineCosts } from './roofline.ts';

/** The cost source of a recipe. */
export function createCosts(recipe: CostRecipe): CostSource {
  switch (recipe.kind) {
    case 'roofline':
      return createRooflineCosts();
    case 'measured':
      return createMeasuredCosts(recipe.table, recipe.options);
  }
}
