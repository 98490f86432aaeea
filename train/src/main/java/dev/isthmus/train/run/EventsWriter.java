package dev.isthmus.train.run;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * Writes scalars where TensorBoard finds them: an {@code events.out.tfevents.*} file.
 *
 * <p>The file is a sequence of TFRecords (length, masked CRC-32C of the length, data, masked CRC-32C of the data), each
 * holding an {@code Event} message of tensorflow/core/util/event.proto. The few fields needed are encoded by hand;
 * their numbers stand beside them.
 */
final class EventsWriter implements Closeable {
    static final String PREFIX = "events.out.tfevents.";

    private final FileChannel channel;

    /**
     * Starts a new file.
     *
     * @param startStep the first step that follows; tells a TensorBoard that is watching to drop what it saw from there
     *     on
     * @param wallTime seconds since 1970
     */
    EventsWriter(Path file, long startStep, double wallTime) throws IOException {
        channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        write(event(wallTime, 0).bytes(3, "brain.Event:2".getBytes(StandardCharsets.UTF_8))); // file_version
        Message start = new Message().varint(1, 1); // SessionLog.status = START
        write(event(wallTime, startStep).bytes(7, start.encoded())); // session_log
    }

    /** Writes one event with every value that is a number; others have no place in a chart. */
    void scalars(long step, double wallTime, Map<String, ?> values) throws IOException {
        Message summary = new Message();
        values.forEach((tag, value) -> {
            if (value instanceof Number number) {
                Message scalar = new Message()
                        .bytes(1, tag.getBytes(StandardCharsets.UTF_8)) // Summary.Value.tag
                        .float32(2, number.floatValue()); // Summary.Value.simple_value
                summary.bytes(1, scalar.encoded()); // Summary.value
            }
        });
        write(event(wallTime, step).bytes(5, summary.encoded())); // summary
    }

    void force() throws IOException {
        channel.force(false);
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    private static Message event(double wallTime, long step) {
        Message event = new Message().float64(1, wallTime); // wall_time
        return step == 0 ? event : event.varint(2, step); // step; proto3 leaves a zero out
    }

    private void write(Message event) throws IOException {
        byte[] data = event.encoded();
        ByteBuffer record = ByteBuffer.allocate(8 + 4 + data.length + 4).order(ByteOrder.LITTLE_ENDIAN);
        record.putLong(data.length).putInt(maskedCrc(record.array(), 0, 8));
        record.put(data).putInt(maskedCrc(record.array(), 12, data.length));
        Disk.writeFully(channel, record.flip());
    }

    private static int maskedCrc(byte[] bytes, int offset, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, offset, length);
        return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
    }

    /** A protocol-buffer message in the making: fields in the order in which they are added. */
    private static final class Message {
        private static final int VARINT = 0;
        private static final int FIXED64 = 1;
        private static final int BYTES = 2;
        private static final int FIXED32 = 5;

        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        Message varint(int field, long value) {
            key(field, VARINT);
            raw(value);
            return this;
        }

        Message float64(int field, double value) {
            key(field, FIXED64);
            fixed(Double.doubleToLongBits(value), 8);
            return this;
        }

        Message float32(int field, float value) {
            key(field, FIXED32);
            fixed(Float.floatToIntBits(value), 4);
            return this;
        }

        Message bytes(int field, byte[] value) {
            key(field, BYTES);
            raw(value.length);
            out.writeBytes(value);
            return this;
        }

        byte[] encoded() {
            return out.toByteArray();
        }

        private void key(int field, int wireType) {
            raw((long) field << 3 | wireType);
        }

        private void raw(long value) {
            long rest = value;
            while ((rest & ~0x7fL) != 0) {
                out.write((int) (rest & 0x7f | 0x80));
                rest >>>= 7;
            }
            out.write((int) rest);
        }

        private void fixed(long bits, int bytes) {
            for (int i = 0; i < bytes; i++) {
                out.write((int) (bits >>> 8 * i));
            }
        }
    }
}
