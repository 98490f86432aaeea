/** Recipes: papers as YAML files that wire the parts together. */
@NullMarked
package dev.isthmus.rl.recipe;

import org.jspecify.annotations.NullMarked;
