package dev.isthmus.train.run;

import java.util.List;
import java.util.StringJoiner;

/** Lines of a table whose rows come one at a time, as a run makes them; so the widths are given beforehand. */
public record TextTable(List<Column> columns) {
    /**
     * A column.
     *
     * @param width in characters; at least that of the title
     * @param right whether the cells end, rather than begin, at the same place
     */
    public record Column(String title, int width, boolean right) {
        public Column {
            width = Math.max(width, length(title));
        }

        /** A column of words. */
        public static Column left(String title, int width) {
            return new Column(title, width, false);
        }

        /** A column of numbers. */
        public static Column right(String title, int width) {
            return new Column(title, width, true);
        }

        private String cell(String text) {
            String padding = " ".repeat(Math.max(0, width - length(text)));
            return right ? padding + text : text + padding;
        }
    }

    public TextTable {
        columns = List.copyOf(columns);
    }

    public TextTable(Column... columns) {
        this(List.of(columns));
    }

    /** The titles. */
    public String header() {
        return row(columns.stream().map(Column::title).toArray(String[]::new));
    }

    /** A line under the titles. */
    public String rule() {
        return row(columns.stream().map(column -> "-".repeat(column.width)).toArray(String[]::new));
    }

    /** A row with as many cells as there are columns; a cell that is too wide pushes the rest aside. */
    public String row(String... cells) {
        if (cells.length != columns.size()) {
            throw new IllegalArgumentException(cells.length + " cells for " + columns.size() + " columns");
        }
        StringJoiner row = new StringJoiner("  ");
        for (int i = 0; i < cells.length; i++) {
            row.add(columns.get(i).cell(cells[i]));
        }
        return row.toString().stripTrailing();
    }

    private static int length(String text) {
        return text.codePointCount(0, text.length());
    }
}
