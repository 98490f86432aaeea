/**
 * Reports of runs as one self-contained page.
 *
 * <p>Start with {@link dev.isthmus.train.report.HtmlReport}.
 */
@org.jspecify.annotations.NullMarked
package dev.isthmus.train.report;
