package dev.isthmus.model.io;

import dev.isthmus.model.io.Gguf.GgufTensor;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** What stands before the tensors of a GGUF file. */
final class GgufHeader {
    private static final int ALIGNMENT = 32;
    private static final int VERSION = 3;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    GgufHeader(Map<String, Object> metadata, List<GgufTensor> tensors) {
        out.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
        int32(VERSION);
        int64(tensors.size());
        int64(metadata.size());
        metadata.forEach((key, value) -> {
            text(key);
            value(value);
        });
        long offset = 0;
        for (GgufTensor tensor : tensors) {
            text(tensor.name());
            int32(tensor.shape().length);
            for (int d = tensor.shape().length - 1; d >= 0; d--) {
                int64(tensor.shape()[d]);
            }
            int32(tensor.type().code());
            int64(offset);
            long size = tensor.data().byteSize();
            offset += size + padding(size);
        }
        out.writeBytes(new byte[padding(out.size())]);
    }

    /** The bytes that follow {@code size} bytes until the next tensor may begin. */
    static int padding(long size) {
        return (int) (-size & ALIGNMENT - 1);
    }

    ByteBuffer bytes() {
        return ByteBuffer.wrap(out.toByteArray());
    }

    private void value(Object value) {
        switch (value) {
            case Boolean flag -> {
                int32(7);
                out.write(flag ? 1 : 0);
            }
            case Long number
            when number >= 0 && number <= 0xffffffffL -> {
                int32(4);
                int32((int) (long) number);
            }
            case Long number -> {
                int32(11);
                int64(number);
            }
            case Double number -> {
                int32(6);
                int32(Float.floatToRawIntBits(number.floatValue()));
            }
            case String text -> {
                int32(8);
                text(text);
            }
            case List<?> list -> {
                int32(9);
                Object first = list.isEmpty() ? "" : list.getFirst();
                int32(first instanceof String ? 8 : first instanceof Long ? 5 : 6);
                int64(list.size());
                for (Object element : list) {
                    switch (element) {
                        case String text -> text(text);
                        case Long number -> int32(Math.toIntExact(number));
                        case Double number -> int32(Float.floatToRawIntBits(number.floatValue()));
                        default -> throw new IllegalArgumentException("a list of " + element.getClass());
                    }
                }
            }
            default -> throw new IllegalArgumentException("a value of " + value.getClass());
        }
    }

    private void text(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int64(bytes.length);
        out.writeBytes(bytes);
    }

    private void int32(int value) {
        out.writeBytes(ByteBuffer.allocate(4)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(value)
                .array());
    }

    private void int64(long value) {
        out.writeBytes(ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array());
    }
}
