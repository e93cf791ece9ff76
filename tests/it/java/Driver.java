import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** The driver of Kafka's own Java clients (see ../drivers/README.md). */
public final class Driver {
    private static final Map<String, String> NAMES = Map.of(
        "codec", "compression.type",
        "acks", "acks",
        "linger_ms", "linger.ms",
        "session_ms", "session.timeout.ms",
        "heartbeat_ms", "heartbeat.interval.ms",
        "instance", "group.instance.id");

    private final List<String> args = new ArrayList<>();
    private final Map<String, String> options = new HashMap<>();

    private Driver(String[] line) {
        for (String word : line) {
            int at = word.indexOf('=');
            if (at < 0) {
                args.add(word);
            } else {
                options.put(word.substring(0, at), word.substring(at + 1));
            }
        }
    }

    public static void main(String[] line) throws Exception {
        Driver driver = new Driver(line);
        switch (line[0]) {
            case "version" -> say(AppInfoParser.getVersion());
            case "produce" -> driver.produce();
            case "consume" -> driver.consume();
            case "group" -> driver.group();
            case "offsets" -> driver.offsets();
            case "admin" -> driver.admin();
            default -> throw new IllegalArgumentException(line[0]);
        }
    }

    private static void say(Object... fields) {
        System.out.println(Arrays.stream(fields).map(String::valueOf)
            .collect(Collectors.joining("\t")));
        System.out.flush();
    }

    private static String pack(byte[] data) {
        return data == null ? "-" : Base64.getEncoder().encodeToString(data);
    }

    private static byte[] unpack(String field) {
        return field.equals("-") ? null : Base64.getDecoder().decode(field);
    }

    private Properties settings() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args.get(1));
        options.forEach((name, value) -> {
            if (NAMES.containsKey(name)) {
                settings.put(NAMES.get(name), value);
            }
        });
        if (options.containsKey("idempotent")) {
            settings.put("enable.idempotence",
                options.get("idempotent").equals("1") ? "true" : "false");
        }
        if ("cooperative".equals(options.get("assignor"))) {
            settings.put("partition.assignment.strategy",
                CooperativeStickyAssignor.class.getName());
        }
        return settings;
    }

    private KafkaConsumer<byte[], byte[]> consumer(Properties settings) {
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(),
            new ByteArrayDeserializer());
    }

    private static ProducerRecord<byte[], byte[]> record(
            String topic, String line) {
        String[] fields = line.split("\t", -1);
        List<Header> headers = new ArrayList<>();
        for (String header : fields[3].split(",")) {
            if (!header.isEmpty()) {
                String[] pair = header.split(":", -1);
                headers.add(new RecordHeader(
                    new String(unpack(pair[0]), StandardCharsets.UTF_8),
                    unpack(pair[1])));
            }
        }
        Integer partition =
            fields[0].equals("-") ? null : Integer.valueOf(fields[0]);
        return new ProducerRecord<>(topic, partition, unpack(fields[1]),
            unpack(fields[2]), headers);
    }

    private void produce() throws Exception {
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in));
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                settings(), new ByteArraySerializer(),
                new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (String line; (line = in.readLine()) != null; ) {
                sent.add(producer.send(record(args.get(2), line)));
            }
            producer.flush();
            for (Future<RecordMetadata> one : sent) {
                say(one.get().partition(), one.get().offset());
            }
        }
    }

    private static String headers(ConsumerRecord<byte[], byte[]> record) {
        List<String> pairs = new ArrayList<>();
        for (Header header : record.headers()) {
            pairs.add(pack(header.key().getBytes(StandardCharsets.UTF_8)) + ":"
                + pack(header.value()));
        }
        return String.join(",", pairs);
    }

    private void consume() {
        String topic = args.get(2);
        int left = Integer.parseInt(args.get(3));
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings())) {
            List<TopicPartition> all = consumer.partitionsFor(topic).stream()
                .map(p -> new TopicPartition(topic, p.partition())).toList();
            consumer.assign(all);
            consumer.seekToBeginning(all);
            while (left > 0) {
                for (ConsumerRecord<byte[], byte[]> r
                        : consumer.poll(Duration.ofMillis(500))) {
                    if (left-- > 0) {
                        say(r.partition(), r.offset(), r.timestamp(),
                            pack(r.key()), pack(r.value()), headers(r));
                    }
                }
            }
        }
    }

    /** Tells the partitions of a member whenever they change. */
    private static final class Assigned implements ConsumerRebalanceListener {
        private final TreeSet<Integer> ours = new TreeSet<>();

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> more) {
            more.forEach(p -> ours.add(p.partition()));
            say("assigned", ours.stream().map(String::valueOf)
                .collect(Collectors.joining(",")));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> less) {
            less.forEach(p -> ours.remove(p.partition()));
        }
    }

    private void group() {
        Properties settings = settings();
        settings.put("group.id", args.get(3));
        long left = Long.parseLong(
            options.getOrDefault("count", String.valueOf(Long.MAX_VALUE)));
        Thread self = Thread.currentThread();
        AtomicBoolean ended = new AtomicBoolean();
        AtomicInteger status = new AtomicInteger(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            ended.set(true);
            try {
                self.join();
                Runtime.getRuntime().halt(status.get());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
            consumer.subscribe(List.of(args.get(2)), new Assigned());
            while (!ended.get() && left > 0) {
                ConsumerRecords<byte[], byte[]> polled =
                    consumer.poll(Duration.ofMillis(100));
                for (ConsumerRecord<byte[], byte[]> r : polled) {
                    say("record", r.partition(), r.offset(), pack(r.value()));
                    left--;
                }
                if (!polled.isEmpty() && commit(consumer)) {
                    say("committed");
                }
            }
        }
        status.set(0);
    }

    /** Whether what was read is committed: not when a rebalance came. */
    private static boolean commit(KafkaConsumer<byte[], byte[]> consumer) {
        try {
            consumer.commitSync();
            return true;
        } catch (CommitFailedException | RebalanceInProgressException e) {
            return false;
        }
    }

    private void offsets() {
        TopicPartition part = new TopicPartition(
            args.get(2), Integer.parseInt(args.get(3)));
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings())) {
            consumer.assign(List.of(part));
            say("beginning", consumer.beginningOffsets(List.of(part)).get(part));
            say("end", consumer.endOffsets(List.of(part)).get(part));
            long at = consumer.offsetsForTimes(
                Map.of(part, Long.valueOf(args.get(4)))).get(part).offset();
            say("at", at);
            consumer.seek(part, at);
            ConsumerRecords<byte[], byte[]> polled;
            do {
                polled = consumer.poll(Duration.ofMillis(500));
            } while (polled.isEmpty());
            say("seek", pack(polled.iterator().next().value()));
        }
    }

    private void admin() throws Exception {
        try (Admin admin = Admin.create(settings())) {
            switch (args.get(2)) {
                case "create" -> admin.createTopics(List.of(new NewTopic(
                    args.get(3), Integer.parseInt(args.get(4)), (short) 1)))
                    .all().get();
                case "delete" ->
                    admin.deleteTopics(List.of(args.get(3))).all().get();
                default ->
                    admin.listTopics().names().get().forEach(Driver::say);
            }
        }
    }
}
