package dev.isthmus.train.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/**
 * A page that shows what a run came to: one file without any outside resource or script, for light and dark, wide and
 * narrow.
 *
 * <p>Add sections in reading order and take {@link #html()}. All text is shown as it is, so a completion can hold
 * markup and does no harm; in {@link #paragraph}, text between backticks is set as code.
 */
public final class HtmlReport {
    private static final int LONGEST_TEXT = 2000;
    private static final Pattern CODE = Pattern.compile("`([^`]+)`");
    private static final Pattern NUMBER = Pattern.compile("[+\u2212\u2013-]?\\d.*|[\u2013-]|");

    /** Two coasts and the narrow way between them. */
    private static final String MARK = "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\">"
            + "<path d=\"M2 4C9 11 15 11 22 4M2 20C9 13 15 13 22 20\"/></svg>";

    private final StringBuilder body = new StringBuilder();
    private final String title;

    /**
     * A number worth a large print.
     *
     * @param note what it is measured on or compared with; may be empty
     */
    public record Figure(String label, String value, String note) {}

    /** The answers to one prompt by two models. */
    public record Sample(String prompt, Answer before, Answer after) {}

    /** What a model wrote, and whether it was right. */
    public record Answer(String text, boolean correct) {}

    /** A report with a title and a paragraph that says what was done and what came out. */
    public HtmlReport(String title, String lead) {
        this.title = title;
        body.append("<header><p class=\"mark\">").append(MARK).append("Isthmus</p>");
        body.append("<h1>").append(Html.escape(title)).append("</h1>");
        body.append("<p class=\"lead\">").append(inline(lead)).append("</p></header>\n");
    }

    /** Begins a section. */
    public HtmlReport heading(String text) {
        return element("h2", Html.escape(text));
    }

    /** A paragraph. */
    public HtmlReport paragraph(String text) {
        return element("p", inline(text));
    }

    /** A row of large numbers. */
    public HtmlReport figures(Figure... figures) {
        body.append("<div class=\"figures\">");
        for (Figure figure : figures) {
            body.append("<div class=\"card figure\"><p class=\"name\">").append(Html.escape(figure.label));
            body.append("</p><p class=\"value\">").append(Html.escape(figure.value));
            body.append("</p><p class=\"note\">")
                    .append(Html.escape(figure.note))
                    .append("</p></div>");
        }
        body.append("</div>\n");
        return this;
    }

    /** Charts side by side where there is room. */
    public HtmlReport charts(LineChart... charts) {
        body.append("<div class=\"charts\">");
        for (LineChart chart : charts) {
            body.append("<figure class=\"card\"><figcaption><b>")
                    .append(Html.escape(chart.title()))
                    .append("</b>");
            if (!chart.note().isEmpty()) {
                body.append("<span class=\"note\">")
                        .append(inline(chart.note()))
                        .append("</span>");
            }
            if (chart.series().size() > 1) {
                legend(chart);
            }
            body.append("</figcaption>").append(SvgLines.draw(chart)).append("</figure>");
        }
        body.append("</div>\n");
        return this;
    }

    /** A table; columns that hold numbers only are set to the right. */
    public HtmlReport table(List<String> header, List<List<String>> rows) {
        body.append("<div class=\"card scroll\"><table><thead>");
        row("th", header, rows);
        body.append("</thead><tbody>");
        rows.forEach(row -> row("td", row, rows));
        body.append("</tbody></table></div>\n");
        return this;
    }

    /** Names and values, such as the machine and the versions. */
    public HtmlReport facts(Map<String, String> facts) {
        body.append("<dl class=\"card\">");
        facts.forEach((name, value) -> body.append("<dt>")
                .append(Html.escape(name))
                .append("</dt><dd>")
                .append(Html.escape(value))
                .append("</dd>"));
        body.append("</dl>\n");
        return this;
    }

    /** What two models answered to the same prompts, side by side. */
    public HtmlReport samples(String before, String after, List<Sample> samples) {
        body.append("<div class=\"samples\">");
        for (Sample sample : samples) {
            body.append("<article class=\"card\"><pre class=\"prompt\">")
                    .append(clipped(sample.prompt))
                    .append("</pre>");
            body.append("<div class=\"answers\">");
            answer(before, sample.before);
            answer(after, sample.after);
            body.append("</div></article>");
        }
        body.append("</div>\n");
        return this;
    }

    /** Text as it stands in a file. */
    public HtmlReport code(String text) {
        body.append("<pre class=\"card code\">").append(Html.escape(text)).append("</pre>\n");
        return this;
    }

    /** A part that is folded away until it is asked for. */
    public HtmlReport details(String summary, Consumer<HtmlReport> content) {
        body.append("<details><summary>").append(Html.escape(summary)).append("</summary>\n");
        content.accept(this);
        body.append("</details>\n");
        return this;
    }

    /** The whole page. */
    public String html() {
        return String.format(Locale.ROOT, """
                <!doctype html>
                <html lang="en">
                <head>
                <meta charset="utf-8">
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <meta name="color-scheme" content="light dark">
                <meta http-equiv="Content-Security-Policy"
                      content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
                <link rel="icon" href="data:,">
                <title>%s</title>
                <style>
                %s</style>
                </head>
                <body>
                <main>
                %s</main>
                </body>
                </html>
                """, Html.escape(title), styleSheet(), body);
    }

    private HtmlReport element(String name, String content) {
        body.append('<')
                .append(name)
                .append('>')
                .append(content)
                .append("</")
                .append(name)
                .append(">\n");
        return this;
    }

    private void legend(LineChart chart) {
        body.append("<span class=\"legend\">");
        for (int i = 0; i < chart.series().size(); i++) {
            body.append("<span class=\"").append(SvgLines.style(chart, i));
            body.append("\"><svg viewBox=\"0 0 22 8\" aria-hidden=\"true\"><path class=\"line\" d=\"M1 4H21\"/></svg>");
            body.append(Html.escape(chart.series().get(i).name())).append("</span>");
        }
        body.append("</span>");
    }

    private void row(String cell, List<String> cells, List<List<String>> rows) {
        body.append("<tr>");
        for (int i = 0; i < cells.size(); i++) {
            int column = i;
            boolean numbers = i > 0
                    && rows.stream()
                            .allMatch(row -> NUMBER.matcher(row.get(column)).matches());
            body.append('<').append(cell).append(numbers ? " class=\"number\">" : ">");
            body.append(Html.escape(cells.get(i))).append("</").append(cell).append('>');
        }
        body.append("</tr>");
    }

    private void answer(String who, Answer answer) {
        body.append("<div class=\"answer\"><p>").append(Html.escape(who));
        body.append(answer.correct ? "<b class=\"right\">\u2713 correct</b>" : "<b class=\"wrong\">\u2717 wrong</b>");
        body.append("</p><pre>").append(clipped(answer.text)).append("</pre></div>");
    }

    private static String clipped(String text) {
        if (text.length() <= LONGEST_TEXT) {
            return Html.escape(text);
        }
        return Html.escape(text.substring(0, LONGEST_TEXT)) + "<i>\u2026 " + (text.length() - LONGEST_TEXT)
                + " more characters</i>";
    }

    private static String inline(String text) {
        return CODE.matcher(Html.escape(text)).replaceAll("<code>$1</code>");
    }

    private static String styleSheet() {
        try (InputStream in = Objects.requireNonNull(HtmlReport.class.getResourceAsStream("report.css"))) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
