import java.nio.file.*;
import java.util.*;
import java.util.regex.*;
import org.apache.flink.configuration.*;
import org.apache.flink.table.api.*;
import org.apache.flink.types.*;
import org.apache.flink.util.CloseableIterator;

/**
 * Runs golden cases on Flink, in streaming mode over bounded input, and writes the materialised result of each case's final
 * SELECT: one line per row, values joined by '|', sorted, NULL as NULL.
 *
 * Arguments: directory of cases, output directory, directory for ${DATA}, directory for ${FLIGHTS}, optional name prefix.
 * Cases whose header says "-- oracle: hand" are skipped: their result depends on when a watermark is emitted, which Flink does
 * by the clock.
 */
public class Oracle {
  public static void main(String[] a) throws Exception {
    Path cases = Paths.get(a[0]), out = Paths.get(a[1]);
    String prefix = a.length > 4 ? a[4] : "";
    List<Path> files = new ArrayList<>();
    try (var s = Files.list(cases)) {
      s.filter(p -> p.getFileName().toString().endsWith(".sql")).sorted().forEach(files::add);
    }
    int failed = 0;
    for (Path file : files) {
      String name = file.getFileName().toString().replace(".sql", "");
      String text = Files.readString(file);
      if (!name.startsWith(prefix) || text.contains("-- oracle: hand")) continue;
      try {
        List<String> lines = run(text.replace("${DATA}", a[2]).replace("${FLIGHTS}", a[3]));
        Files.write(out.resolve(name + ".txt"), lines);
        System.out.println(name + " rows=" + lines.size());
      } catch (Throwable e) {
        failed++;
        Throwable x = e;
        while (x.getCause() != null) x = x.getCause();
        System.out.println(name + " FAILED " + x.toString().replace('\n', ' '));
      }
    }
    System.out.println("failed=" + failed);
    System.exit(failed == 0 ? 0 : 1);
  }

  static List<String> run(String text) throws Exception {
    Configuration c = new Configuration();
    c.setString("parallelism.default", "1");
    c.setString("table.local-time-zone", "UTC");
    c.setString("restart-strategy.type", "none");
    TableEnvironment t =
        TableEnvironment.create(EnvironmentSettings.newInstance().withConfiguration(c).inStreamingMode().build());
    List<String> statements = statements(text);
    Pattern set = Pattern.compile("SET\\s+'([^']+)'\\s*=\\s*'([^']*)'");
    for (String s : statements.subList(0, statements.size() - 1)) {
      Matcher m = set.matcher(s);
      if (m.matches()) t.getConfig().set(m.group(1), m.group(2));
      else t.executeSql(s);
    }
    TreeMap<String, Long> rows = new TreeMap<>();
    TableResult r = t.executeSql(statements.get(statements.size() - 1));
    try (CloseableIterator<Row> it = r.collect()) {
      while (it.hasNext()) {
        Row row = it.next();
        StringBuilder b = new StringBuilder();
        for (int i = 0; i < row.getArity(); i++) b.append(i > 0 ? "|" : "").append(show(row.getField(i)));
        boolean add = row.getKind() == RowKind.INSERT || row.getKind() == RowKind.UPDATE_AFTER;
        rows.merge(b.toString(), add ? 1L : -1L, Long::sum);
      }
    }
    List<String> lines = new ArrayList<>();
    for (var e : rows.entrySet()) {
      if (e.getValue() < 0) throw new IllegalStateException("retracted more often than inserted: " + e);
      for (long i = 0; i < e.getValue(); i++) lines.add(e.getKey());
    }
    return lines;
  }

  /** Statements end with a semicolon at the end of a line; comments are whole lines. Options of ours that Flink lacks go. */
  static List<String> statements(String text) {
    StringBuilder b = new StringBuilder();
    for (String line : text.split("\n")) if (!line.startsWith("--")) b.append(line).append('\n');
    List<String> statements = new ArrayList<>();
    for (String s : b.toString().split(";\\s*(\n|$)")) {
      if (!s.isBlank()) statements.add(s.replaceAll(",\\s*'csv.header'\\s*=\\s*'true'", "").trim());
    }
    return statements;
  }

  static String show(Object v) {
    if (v == null) return "NULL";
    if (v instanceof Object[] list) {
      StringJoiner j = new StringJoiner(", ", "[", "]");
      for (Object x : list) j.add(show(x));
      return j.toString();
    }
    if (v instanceof Map<?, ?> map) {
      TreeMap<String, String> sorted = new TreeMap<>();
      map.forEach((k, x) -> sorted.put(show(k), show(x)));
      return sorted.toString();
    }
    if (v instanceof Row row) {
      StringJoiner j = new StringJoiner(", ", "(", ")");
      for (int i = 0; i < row.getArity(); i++) j.add(show(row.getField(i)));
      return j.toString();
    }
    if (v instanceof byte[] bytes) return HexFormat.of().formatHex(bytes);
    return v.toString();
  }
}
