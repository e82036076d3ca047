import java.nio.file.*;
import java.util.*;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.*;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Evaluates every expression of a file with Flink and writes `expression TAB type TAB value` lines; what Flink refuses or
 * fails on has the type `ERROR` and the first line of the root cause. Lines that start with `--` and empty lines are kept;
 * `-- zone Z` sets the session zone for the lines that follow. Arguments: expressions.txt flink.tsv
 */
public class FlinkOracle {
  static TableEnvironment tables;
  static final Map<String, String> results = new HashMap<>();

  public static void main(String[] args) throws Exception {
    List<String> lines = Files.readAllLines(Paths.get(args[0]));
    List<String> out = new ArrayList<>();
    List<String> chunk = new ArrayList<>();
    String zone = "UTC";
    open(zone);
    for (String line : lines) {
      if (line.startsWith("-- zone ")) {
        flush(chunk, out);
        zone = line.substring(8).trim();
        open(zone);
      }
      if (line.isBlank() || line.startsWith("--")) {
        flush(chunk, out);
        out.add(line);
        continue;
      }
      chunk.add(line);
      if (chunk.size() >= 40) flush(chunk, out);
    }
    flush(chunk, out);
    Files.write(Paths.get(args[1]), out);
    System.exit(0);
  }

  static void open(String zone) {
    Configuration c = new Configuration();
    c.setString("parallelism.default", "1");
    c.setString("table.local-time-zone", zone);
    tables = TableEnvironment.create(EnvironmentSettings.newInstance().withConfiguration(c).inStreamingMode().build());
  }

  static void flush(List<String> chunk, List<String> out) {
    run(chunk);
    for (String e : chunk) out.add(e + "\t" + results.get(e));
    chunk.clear();
  }

  static void run(List<String> chunk) {
    if (chunk.isEmpty()) return;
    try {
      StringBuilder sql = new StringBuilder("SELECT ");
      for (int i = 0; i < chunk.size(); i++) sql.append(i > 0 ? ", " : "").append(chunk.get(i)).append(" AS x").append(i);
      TableResult result = tables.executeSql(sql.toString());
      Row row;
      try (CloseableIterator<Row> rows = result.collect()) { row = rows.next(); }
      for (int i = 0; i < chunk.size(); i++) {
        String type = result.getResolvedSchema().getColumnDataTypes().get(i).getLogicalType().asSummaryString();
        String shown = Row.of(row.getField(i)).toString();
        shown = shown.substring(3, shown.length() - 1).replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t");
        results.put(chunk.get(i), type + "\t" + shown);
      }
    } catch (Throwable failure) {
      if (chunk.size() > 1) {
        int half = chunk.size() / 2;
        run(new ArrayList<>(chunk.subList(0, half)));
        run(new ArrayList<>(chunk.subList(half, chunk.size())));
        return;
      }
      Throwable root = failure;
      while (root.getCause() != null) root = root.getCause();
      results.put(chunk.get(0), "ERROR\t" + String.valueOf(root.getMessage()).split("\n")[0].replace("\t", " "));
    }
  }
}
