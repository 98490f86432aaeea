package dev.isthmus.train.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Rng;
import dev.isthmus.train.report.HtmlReport.Answer;
import dev.isthmus.train.report.HtmlReport.Figure;
import dev.isthmus.train.report.HtmlReport.Sample;
import dev.isthmus.train.report.LineChart.Axis;
import dev.isthmus.train.report.LineChart.Point;
import dev.isthmus.train.report.LineChart.Series;
import java.io.IOException;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.xml.sax.InputSource;

class HtmlReportTests {
    private static final String HOSTILE = "</pre></main><script>alert(1)</script><img src=x onerror='alert(2)'>"
            + "\" onmouseover=\"x`<b>`&amp;\u0000\u001b[31m\ud800";

    @Test
    void nothingThatAModelWritesBecomesMarkup() {
        List<Sample> samples = List.of(new Sample(HOSTILE, new Answer(HOSTILE, false), new Answer(HOSTILE, true)));
        Series series = Series.of(HOSTILE, List.of(new Point(0, 1), new Point(1, 2)));
        String html = new HtmlReport(HOSTILE, HOSTILE)
                .heading(HOSTILE)
                .paragraph(HOSTILE)
                .figures(new Figure(HOSTILE, HOSTILE, HOSTILE))
                .charts(new LineChart(HOSTILE, HOSTILE, HOSTILE, Axis.fitted(HOSTILE), series, series))
                .table(List.of(HOSTILE, HOSTILE), List.of(List.of(HOSTILE, HOSTILE)))
                .facts(Map.of(HOSTILE, HOSTILE))
                .samples(HOSTILE, HOSTILE, samples)
                .code(HOSTILE)
                .details(HOSTILE, inner -> inner.code(HOSTILE))
                .html();
        assertThat(html).doesNotContain("<script", "<img", "onerror='", "onmouseover=\"", "\u0000", "\u001b", "\ud800");
        // Tags hold no attribute that the text could have opened, and are those of this package only.
        Matcher tags = Pattern.compile("<([a-z0-9]+)((?: [^<>]*)?)>").matcher(html);
        while (tags.find()) {
            assertThat(tags.group(2)).doesNotContainPattern("\\bon[a-z]+\\s*=\\s*[\"']?[a-z(]");
        }
        assertThat(html.split("<pre", -1)).hasSameSizeAs(html.split("</pre>", -1));
    }

    @Test
    void thePageIsWellFormedAndNeedsNothingElse() throws Exception {
        String html = demo().html();
        assertThat(html.replaceAll("arxiv\\.org\\S*", ""))
                .doesNotContainPattern("(?i)(src|href|url)\\s*[=(]\\s*[\"']?(https?:|//)");
        assertThat(html.getBytes(StandardCharsets.UTF_8).length).isLessThan(500_000);
        String main = html.substring(html.indexOf("<main>"), html.indexOf("</body>"));
        var document = DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new InputSource(new StringReader(main)));
        assertThat(document.getElementsByTagName("figure").getLength()).isEqualTo(7);
    }

    @Test
    void chartsSurviveAnyData() {
        double nan = Double.NaN;
        for (List<Point> points : List.of(
                List.<Point>of(),
                List.of(new Point(0, nan)),
                List.of(new Point(3, 5)),
                List.of(new Point(3, 0), new Point(3, 0)),
                List.of(new Point(0, 1e-9), new Point(1, 1e-9)),
                List.of(new Point(0, -1e30), new Point(1, 1e30)),
                List.of(new Point(0, 1), new Point(1, Double.POSITIVE_INFINITY), new Point(2, 3)),
                List.of(new Point(0, 1, 0, 2), new Point(1, nan), new Point(2, 3, 2, 4), new Point(3, 1, 0, nan)))) {
            for (Axis axis : List.of(Axis.fitted("y"), Axis.fromZero("y"), Axis.share("y"))) {
                String svg = SvgLines.draw(new LineChart("t", "", "x", axis, Series.of("a", points)));
                assertThat(svg).doesNotContain("NaN", "Infinity").endsWith("</svg>");
                assertThat(svg.length()).isLessThan(20_000);
            }
        }
    }

    @Test
    void aGapInTheDataIsAGapInTheLine() {
        List<Point> points =
                List.of(new Point(0, 1), new Point(1, 2), new Point(2, Double.NaN), new Point(3, 1), new Point(4, 2));
        String svg = SvgLines.draw(new LineChart("t", "", "x", Axis.fitted("y"), Series.of("a", points)));
        assertThat(svg.split("class=\"line\"", -1)).hasSize(3);
    }

    @Test
    void longSeriesAreThinnedButKeepTheirPeaks() {
        List<Point> points = new ArrayList<>();
        IntStream.range(0, 100_000).forEach(i -> points.add(new Point(i, i == 77_777 ? 9 : 0)));
        String svg = SvgLines.draw(new LineChart("t", "", "x", Axis.fitted("y"), Series.of("a", points)));
        assertThat(svg.length()).isLessThan(25_000);
        assertThat(svg).containsPattern("class=\"line\" d=\"[^\"]*L[\\d.]+ 46\\.2L[^\"]*\"");
    }

    @Test
    void pointsTellTheirValuesAndIntervals() {
        Series before = Series.of("policy", List.of(new Point(0, 0.471, 0.44, 0.502), new Point(1, 1234.5)));
        Series control = Series.control("shuffled", List.of(new Point(1, 0.00001234)));
        Series first = Series.of("policy", before.points().subList(0, 1));
        assertThat(SvgLines.draw(new LineChart("t", "", "round", Axis.share("accuracy"), first)))
                .contains("<title>round 0: 47.1 % (44.0 % to 50.2 %)</title>", ">0 %</text>", ">100 %</text>");
        assertThat(SvgLines.draw(new LineChart("t", "", "round", Axis.fitted("nats"), before, control)))
                .contains("<title>policy, round 1: 1,235</title>", "shuffled, round 1: 0.00001234");
    }

    @Test
    void ticksAreRoundAndDistinct() {
        assertThat(Scale.of(0, 1, 5, false).rounded().ticks()).containsExactly(0, 0.2, 0.4, 0.6000000000000001, 0.8, 1);
        assertThat(Scale.of(0, 6, 8, true).ticks()).containsExactly(0, 1, 2, 3, 4, 5, 6);
        assertThat(Scale.of(0, 2, 8, true).ticks()).containsExactly(0, 1, 2);
        Scale tiny = Scale.of(1e-5, 3e-5, 5, false).rounded();
        assertThat(tiny.label(2e-5, false)).isEqualTo("0.000020");
        assertThat(Scale.of(0, 1, 5, false).label(0.6, true)).isEqualTo("60 %");
        assertThat(Scale.of(-4000, 4000, 5, false).label(-0.0, false)).isEqualTo("0");
        assertThat(Scale.of(-4000, 4000, 5, false).label(-4000, false)).isEqualTo("-4,000");
        assertThat(Scale.of(0, 4e30, 5, false).label(2e30, false)).isEqualTo("2.0e+30");
    }

    @Test
    void longCompletionsAreCut() {
        Answer answer = new Answer("x".repeat(1_000_000), false);
        String html = new HtmlReport("t", "l")
                .samples("a", "b", List.of(new Sample("p", answer, answer)))
                .html();
        assertThat(html).hasSizeLessThan(30_000).contains("998000 more characters");
    }

    @Test
    void numbersAreSetToTheRight() {
        String html = new HtmlReport("t", "l")
                .table(
                        List.of("round", "accuracy", "note"),
                        List.of(List.of("1", "47.1 %", "a"), List.of("2", "\u2013", "3")))
                .html();
        assertThat(html).contains("<td>1</td><td class=\"number\">47.1 %</td><td>a</td>");
    }

    /** Something to look at: {@code train/target/demo-report.html}. */
    @Test
    void theDemoCanBeLookedAt(@TempDir Path temporary) throws IOException {
        Path target = Files.isDirectory(Path.of("target")) ? Path.of("target") : temporary;
        Path page = Files.writeString(target.resolve("demo-report.html"), demo().html());
        assertThat(page).isNotEmptyFile();
    }

    private static HtmlReport demo() {
        Rng rng = Rng.of(1);
        List<Point> accuracy = new ArrayList<>();
        List<Point> passAt8 = new ArrayList<>();
        List<Point> shuffled = new ArrayList<>();
        List<Point> filtered = new ArrayList<>();
        List<Point> reward = new ArrayList<>();
        List<Point> spread = new ArrayList<>();
        List<Point> mean = new ArrayList<>();
        List<Point> longest = new ArrayList<>();
        List<Point> entropy = new ArrayList<>();
        List<Point> loss = new ArrayList<>();
        List<List<String>> rounds = new ArrayList<>();
        for (int round = 0; round <= 6; round++) {
            double value = 0.93 - 0.46 * Math.exp(-round / 1.9);
            accuracy.add(new Point(round, value, value - 0.03, value + 0.026));
            passAt8.add(new Point(round, 0.985 - 0.12 * Math.exp(-round / 2.0)));
            shuffled.add(new Point(round, 0.47 + 0.02 * rng.nextGaussian()));
            filtered.add(new Point(round, 0.48 + 0.012 * rng.nextGaussian()));
            reward.add(new Point(round, value - 0.07));
            spread.add(new Point(round, 0.5 * (1 - value) + 0.1));
            mean.add(new Point(round, 14 + 1.2 * round));
            longest.add(new Point(round, 24));
            rounds.add(List.of(
                    round == 0 ? "base" : String.valueOf(round),
                    "%.1f %%".formatted(value * 100),
                    "%.1f to %.1f %%".formatted(value * 100 - 3, value * 100 + 2.6),
                    "%.1f %%".formatted(passAt8.getLast().y() * 100),
                    round == 0 ? "\u2013" : "%,d".formatted(2100 + 260 * round)));
        }
        for (int step = 0; step < 900; step++) {
            loss.add(new Point(step, 0.35 + 2.6 * Math.exp(-step / 120.0) + 0.05 * rng.nextGaussian()));
            entropy.add(new Point(step, 0.08 + 0.5 * Math.exp(-step / 300.0) + 0.02 * rng.nextGaussian()));
        }
        Map<String, String> machine = new LinkedHashMap<>();
        machine.put("Isthmus", "0.1.0-SNAPSHOT");
        machine.put("Java", "25.0.3+9-LTS, Eclipse Adoptium");
        machine.put("Processor", "2 threads, vectors of 512 bits");
        machine.put("Time", "4:12");
        List<Sample> samples = List.of(
                new Sample("347+586=", new Answer("833", false), new Answer("933", true)),
                new Sample("90+17=", new Answer("107", true), new Answer("107", true)),
                new Sample(
                        "Sort: 9 4 7 1",
                        new Answer("<script>alert('not today')</script>\n1 4 9 7\u0007", false),
                        new Answer("step 1: 1\nstep 2: 1 4\nstep 3: 1 4 7\nanswer: 1 4 7 9", true)));
        return new HtmlReport(
                        "Three-digit addition: 47 % to 91 %",
                        "A model of 0.6 million parameters was trained on 20,000 sums, then wrote answers of its own,"
                                + " kept the ones that a verifier accepted, and learned from those, six times over."
                                + " No new label was used.")
                .figures(
                        new Figure("Held-out accuracy", "47.0 \u2192 91.1 %", "1,000 sums never trained on"),
                        new Figure("pass@8", "86.5 \u2192 98.0 %", "one of 8 samples is right"),
                        new Figure("Best control", "+1.3 points", "shuffled rewards, random filter"),
                        new Figure("Time", "4:12", "2 threads"))
                .heading("What changed")
                .paragraph("Accuracy is greedy decoding on held-out problems; the band is a 95 % bootstrap interval."
                        + " A control that gained as much would mean that the verifier did not matter.")
                .charts(
                        new LineChart(
                                "Accuracy per round",
                                "With the verifier, and with the two controls.",
                                "round",
                                Axis.share("accuracy"),
                                Series.of("verified", accuracy),
                                Series.control("shuffled rewards", shuffled),
                                Series.control("random filter", filtered)),
                        new LineChart(
                                "What sampling can reach",
                                "A gap between the two is what is left to learn.",
                                "round",
                                Axis.share("solved"),
                                Series.of("pass@8", passAt8),
                                Series.of("greedy", accuracy)))
                .table(List.of("Round", "Accuracy", "95 % interval", "pass@8", "Kept samples"), rounds)
                .heading("How it learned")
                .charts(
                        new LineChart(
                                "Reward",
                                "Share of samples that the verifier accepted.",
                                "round",
                                Axis.fromZero("reward"),
                                Series.of("mean", reward),
                                Series.of("standard deviation", spread)),
                        new LineChart(
                                "Completion length",
                                "",
                                "round",
                                Axis.fromZero("tokens"),
                                Series.of("mean", mean),
                                Series.of("longest", longest)),
                        new LineChart(
                                "Entropy",
                                "How undecided the model is; near 0 it has stopped to explore.",
                                "step",
                                Axis.fromZero("nats per token"),
                                Series.of("entropy", entropy)),
                        new LineChart(
                                "Loss",
                                "Of pre-training and of each round.",
                                "step",
                                Axis.fitted("nats per token"),
                                Series.of("loss", loss)),
                        new LineChart(
                                "Gradient norm",
                                "Before clipping.",
                                "step",
                                Axis.fromZero("norm"),
                                Series.of("norm", entropy.subList(0, 20))))
                .heading("Before and after")
                .samples("base", "after 6 rounds", samples)
                .heading("To run it again")
                .paragraph("Save the recipe as `addition.yaml` and run `./isthmus improve addition.yaml --seed 1`.")
                .details(
                        "The recipe",
                        report -> report.code("task: addition\ndigits: 3\nrounds: 6\nsampler:\n  temperature: 1.0\n"))
                .details("Machine and versions", report -> report.facts(machine));
    }
}
