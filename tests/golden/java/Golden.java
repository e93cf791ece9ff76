// Golden.java - writes messages with Kafka's own classes, as golden bytes.
//
//   java Golden DIR
//
// One file per message: lines of version, case, bytes in hex and the values in
// JSON, separated by tabs. Every request of a broker's listener, in all versions
// that are not marked unstable, by reflection over the schemas, so that no field
// of no version can be forgotten. The cases of each version:
//
//   default        the message as it is created
//   empty          every field set, arrays without elements
//   one, two       every field set to something else than its default, arrays
//                  of one and two elements, all tags present
//   empty:PATH     like one, but this array inside another has no elements
//   null:PATH      like one, but this nullable field is null
//   notag:PATH     like one, but this tagged field is absent
//   tag:PATH       like one, but this is the only tagged field
//
// batches.txt has record batches: a name, the bytes, what is in them.

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.record.TimestampType;

public class Golden {
    final int elements;
    final String emptyPath;
    final String nullPath;
    final String tagPath;
    final boolean onlyTag;
    final Set<String> inner = new LinkedHashSet<>();
    final Set<String> nullables = new LinkedHashSet<>();
    final Set<String> tags = new LinkedHashSet<>();
    int count;

    Golden(int elements) {
        this(elements, null, null, null, false);
    }

    Golden(int elements, String emptyPath, String nullPath, String tagPath,
           boolean onlyTag) {
        this.elements = elements;
        this.emptyPath = emptyPath;
        this.nullPath = nullPath;
        this.tagPath = tagPath;
        this.onlyTag = onlyTag;
    }

    static String camel(String name) {
        StringBuilder out = new StringBuilder();
        for (String part : name.split("_")) {
            out.append(Character.toUpperCase(part.charAt(0)))
                .append(part.substring(1));
        }
        return out.toString();
    }

    static String lower(String name) {
        return Character.toLowerCase(name.charAt(0)) + name.substring(1);
    }

    Object scalar(Class<?> type, Type wire, Object old) {
        int n = ++count;
        if (wire == Type.UINT16) return 40000 + n;
        if (type == boolean.class) return !(Boolean) old;
        if (type == byte.class || type == Byte.class) return (byte) (n + 1);
        if (type == short.class || type == Short.class) return (short) (256 + n);
        if (type == int.class || type == Integer.class) return 0x01020300 + n;
        if (type == long.class || type == Long.class)
            return 0x0102030405060000L + n;
        if (type == double.class) return n + 0.5;
        if (type == String.class) return "text-" + n;
        if (type == Uuid.class)
            return new Uuid(0x1112131415160000L + n, 0x2122232425260000L + n);
        if (type == byte[].class) return new byte[] {(byte) n, 0, -1};
        if (type == ByteBuffer.class)
            return ByteBuffer.wrap(new byte[] {(byte) n, 0, -1});
        if (type == BaseRecords.class)
            return MemoryRecords.withRecords(Compression.NONE,
                new SimpleRecord(n, ("k" + n).getBytes(), ("v" + n).getBytes()));
        throw new IllegalArgumentException(type.toString());
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    Object array(Class<?> owner, String name, Class<?> type, Type element,
                 String path) throws Exception {
        Collection out;
        Class<?> of;
        if (type == List.class) {
            Field field = owner.getDeclaredField(lower(name));
            of = (Class<?>) ((ParameterizedType) field.getGenericType())
                .getActualTypeArguments()[0];
            out = new ArrayList();
        } else {
            of = (Class<?>) ((ParameterizedType) type.getGenericSuperclass())
                .getActualTypeArguments()[0];
            out = (Collection) type.getDeclaredConstructor().newInstance();
        }
        if (path.contains(".")) {
            inner.add(path);
        }
        for (int i = 0; i < (path.equals(emptyPath) ? 0 : elements); i++) {
            if (element instanceof Schema) {
                Object nested = of.getDeclaredConstructor().newInstance();
                fill(nested, (Schema) element, path + ".");
                out.add(nested);
            } else {
                out.add(scalar(of, element, null));
            }
        }
        return out;
    }

    void set(Object target, String snake, Type type, String prefix)
        throws Exception {
        Class<?> owner = target.getClass();
        String name = camel(snake);
        String path = prefix + name;
        Method setter = null;
        for (Method m : owner.getMethods()) {
            if (m.getName().equals("set" + name) && m.getParameterCount() == 1) {
                setter = m;
            }
        }
        Class<?> parameter = setter.getParameterTypes()[0];
        if (type.isNullable()) {
            nullables.add(path);
            if (path.equals(nullPath)) {
                setter.invoke(target, new Object[] {null});
                return;
            }
        }
        if (type.isArray()) {
            setter.invoke(target, array(owner, name, parameter,
                type.arrayElementType().get(), path));
        } else if (type instanceof Schema) {
            Object nested = parameter.getDeclaredConstructor().newInstance();
            fill(nested, (Schema) type, path + ".");
            setter.invoke(target, nested);
        } else {
            Object old = owner.getMethod(lower(name)).invoke(target);
            setter.invoke(target, scalar(parameter, type, old));
        }
    }

    void fill(Object target, Schema schema, String prefix) throws Exception {
        for (BoundField bound : schema.fields()) {
            if (!(bound.def.type instanceof TaggedFields)) {
                set(target, bound.def.name, bound.def.type, prefix);
                continue;
            }
            for (var field : ((TaggedFields) bound.def.type).fields().values()) {
                String path = prefix + camel(field.name);
                tags.add(path);
                boolean named = path.equals(tagPath);
                if (tagPath == null || named == onlyTag) {
                    set(target, field.name, field.type, prefix);
                }
            }
        }
    }

    static void line(PrintStream out, Message message, short version,
                     String name) throws Exception {
        ByteBuffer buffer =
            MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        Class<?> converter =
            Class.forName(message.getClass().getName() + "JsonConverter");
        JsonNode json = (JsonNode) converter
            .getMethod("write", message.getClass(), short.class, boolean.class)
            .invoke(null, message, version, false);
        // Kafka 4.4 renamed this field of version 0; ours has the later name.
        String text = json.toString().replace("\"acceptableRecoveryLag\"",
            "\"acceptableRecoveryLagLegacy\"");
        out.println(version + "\t" + name + "\t"
            + HexFormat.of().formatHex(bytes) + "\t" + text);
    }

    static Golden write(PrintStream out, Class<?> kind, Schema schema,
                        short version, String name, Golden g) throws Exception {
        Message message = (Message) kind.getDeclaredConstructor().newInstance();
        g.fill(message, schema, "");
        line(out, message, version, name);
        return g;
    }

    static void message(String dir, Class<?> kind, Schema[] schemas, short first,
                        short last) throws Exception {
        String name = kind.getSimpleName().replaceAll("Data$", "");
        try (PrintStream out = new PrintStream(dir + "/" + name + ".txt")) {
            out.println("# " + name + ", by kafka-clients 4.3.1: version, case, "
                + "bytes, values");
            for (short v = first; v <= last; v++) {
                Schema s = schemas[v];
                line(out, (Message) kind.getDeclaredConstructor().newInstance(),
                    v, "default");
                write(out, kind, s, v, "empty", new Golden(0));
                Golden all = write(out, kind, s, v, "one",
                    new Golden(1));
                write(out, kind, s, v, "two", new Golden(2));
                for (String path : all.inner) {
                    write(out, kind, s, v, "empty:" + path,
                        new Golden(1, path, null, null, false));
                }
                for (String path : all.nullables) {
                    write(out, kind, s, v, "null:" + path,
                        new Golden(1, null, path, null, false));
                }
                for (String path : all.tags) {
                    write(out, kind, s, v, "notag:" + path,
                        new Golden(1, null, null, path, false));
                    write(out, kind, s, v, "tag:" + path,
                        new Golden(1, null, null, path, true));
                }
            }
        }
    }

    static void data(String dir, String name) throws Exception {
        Class<?> kind = Class.forName("org.apache.kafka.common.message." + name);
        Schema[] schemas = (Schema[]) kind.getField("SCHEMAS").get(null);
        Message message = (Message) kind.getDeclaredConstructor().newInstance();
        message(dir, kind, schemas, message.lowestSupportedVersion(),
            message.highestSupportedVersion());
    }

    static void batch(PrintStream out, String name, MemoryRecords records) {
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        StringBuilder text = new StringBuilder();
        for (RecordBatch b : records.batches()) {
            text.append(b.baseOffset()).append(' ').append(b.lastOffset())
                .append(' ').append(b.partitionLeaderEpoch()).append(' ')
                .append(b.maxTimestamp()).append(' ').append(b.producerId())
                .append(' ').append(b.producerEpoch()).append(' ')
                .append(b.baseSequence()).append(' ').append(b.lastSequence())
                .append(' ').append(b.compressionType().id);
            for (var r : b) {
                text.append('|').append(r.offset()).append(' ')
                    .append(r.timestamp()).append(' ').append(hex(r.key()))
                    .append(' ').append(hex(r.value()));
                for (Header h : r.headers()) {
                    text.append(' ').append(h.key()).append('=')
                        .append(hex(h.value() == null ? null
                            : ByteBuffer.wrap(h.value())));
                }
            }
        }
        out.println(name + "\t" + HexFormat.of().formatHex(bytes) + "\t" + text);
    }

    static String hex(ByteBuffer b) {
        if (b == null) {
            return "null";
        }
        byte[] bytes = new byte[b.remaining()];
        b.duplicate().get(bytes);
        return "x" + HexFormat.of().formatHex(bytes);
    }

    static SimpleRecord[] records() {
        Header[] headers = {new RecordHeader("h", "1".getBytes()),
            new RecordHeader("", null), new RecordHeader("h", new byte[0])};
        byte[] large = "0123456789abcdef".repeat(20)
            .getBytes(StandardCharsets.UTF_8);
        return new SimpleRecord[] {
            new SimpleRecord(1700000000000L, "k".getBytes(), "v".getBytes()),
            new SimpleRecord(1700000000005L, null, large, headers),
            new SimpleRecord(1699999999000L, new byte[0], null),
        };
    }

    static void batches(String dir) throws Exception {
        Compression[] codecs = {Compression.NONE, Compression.gzip().build(),
            Compression.snappy().build(), Compression.lz4().build(),
            Compression.zstd().build()};
        try (PrintStream out = new PrintStream(dir + "/batches.txt")) {
            out.println("# Record batches, by kafka-clients 4.3.1: name, bytes, "
                + "base and last offset, leader epoch, max timestamp, producer "
                + "id and epoch, first and last sequence, codec; then a record "
                + "after each |: offset, timestamp, key, value, headers");
            for (Compression c : codecs) {
                batch(out, c.type().name, MemoryRecords.withRecords(
                    RecordBatch.MAGIC_VALUE_V2, 0, c, TimestampType.CREATE_TIME,
                    -1, (short) -1, -1, -1, false, records()));
                batch(out, c.type().name + "-idempotent",
                    MemoryRecords.withRecords(RecordBatch.MAGIC_VALUE_V2, 5000000000L,
                        c, TimestampType.CREATE_TIME, 1234567890123L, (short) 7,
                        2147483646, 99, false, records()));
            }
            batch(out, "commit", MemoryRecords.withEndTransactionMarker(10,
                1700000000000L, 3, 4000, (short) 5,
                new EndTransactionMarker(ControlRecordType.COMMIT, 21)));
            batch(out, "abort", MemoryRecords.withEndTransactionMarker(11,
                1700000000001L, 3, 4000, (short) 5,
                new EndTransactionMarker(ControlRecordType.ABORT, 22)));
            MemoryRecordsBuilder append = MemoryRecords.builder(
                ByteBuffer.allocate(4096), RecordBatch.MAGIC_VALUE_V2,
                Compression.NONE, TimestampType.LOG_APPEND_TIME, 40L,
                1800000000000L);
            for (SimpleRecord r : records()) {
                append.append(r);
            }
            batch(out, "append-time", append.build());
        }
    }

    public static void main(String[] args) throws Exception {
        String dir = args[0];
        for (ApiMessageType api : ApiMessageType.values()) {
            if (!api.listeners().contains(ApiMessageType.ListenerType.BROKER)
                || api.highestSupportedVersion(false) < 0) {
                continue;
            }
            short first = api.lowestSupportedVersion();
            short last = api.highestSupportedVersion(false);
            message(dir, api.newRequest().getClass(), api.requestSchemas(),
                first, last);
            message(dir, api.newResponse().getClass(), api.responseSchemas(),
                first, last);
        }
        data(dir, "ConsumerProtocolSubscription");
        data(dir, "ConsumerProtocolAssignment");
        data(dir, "RequestHeaderData");
        data(dir, "ResponseHeaderData");
        batches(dir);
    }
}
