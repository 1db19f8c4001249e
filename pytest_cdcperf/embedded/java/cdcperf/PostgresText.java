package cdcperf;

import io.debezium.connector.postgresql.UnchangedToastedReplicationMessageColumn;
import io.debezium.data.SpecialValueDecimal;
import io.debezium.spi.converter.CustomConverter;
import io.debezium.spi.converter.RelationalColumn;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.SQLException;
import java.time.LocalDate;
import java.util.Calendar;
import java.util.GregorianCalendar;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.postgresql.PGStatement;

/**
 * Hands on as PostgreSQL's text what Debezium distorts, drops or does not know: arrays of any shape, the types without a
 * converter of its own, numeric's NaN, endless dates, the blanks that fill up a char(n).
 *
 * <p>An array is "\0", the name of its elements' type, "\0" and its text; "\0" alone stands for a large value that was
 * not sent. No other text of PostgreSQL has that character in it. The schema of numerics is named "numeric".
 *
 * <p>Compiled by tests/unit/embedded/test_java.py, which also checks that the class beside it is this one.
 */
public class PostgresText implements CustomConverter<SchemaBuilder, RelationalColumn> {
    private static final int NUMERIC = 1700;
    private static final int BPCHAR = 1042;
    private static final int DATE = 1082;

    /** What Debezium makes of it where it reads the log: a day that PostgreSQL does not have. */
    private static final LocalDate STREAMED_INFINITY = LocalDate.of(-5877611, 6, 21);

    /** The types, by their OIDs, that Debezium carries as it should. */
    private static final Set<Integer> LEFT_TO_DEBEZIUM = Set.of(
            16, 20, 21, 23, 26, 700, 701, // bool, int8, int2, int4, oid, float4, float8
            25, 1043, 18, 142, 114, 3802, 2950, 17, // text, varchar, "char", xml, json, jsonb, uuid, bytea
            1114, 1184, 1083, 1266, 1186, // timestamp, timestamptz, time, timetz, interval
            790, 869, 650, 829, 774); // money, inet, cidr, macaddr, macaddr8

    @Override
    public void configure(Properties properties) {
    }

    @Override
    public void converterFor(RelationalColumn column, ConverterRegistration<SchemaBuilder> registration) {
        int type = column.nativeType();
        if (LEFT_TO_DEBEZIUM.contains(type)) {
            return;
        }
        SchemaBuilder schema = SchemaBuilder.string().optional();
        if (type == NUMERIC) {
            schema.name("numeric");
        }
        registration.register(schema, switch (type) {
            case BPCHAR -> PostgresText::withoutBlanks;
            case DATE -> PostgresText::date;
            default -> PostgresText::text;
        });
    }

    private static Object text(Object value) throws IllegalArgumentException {
        if (value == null) {
            return null;
        }
        if (UnchangedToastedReplicationMessageColumn.isUnchangedToastedValue(value)) {
            return "\0";
        }
        if (value instanceof BigDecimal number) {
            return number.toPlainString();
        }
        if (value instanceof SpecialValueDecimal number) {
            return number.getDecimalValue().map(BigDecimal::toPlainString).orElseGet(() -> Double.toString(number.toDouble()));
        }
        if (value instanceof Array array) {
            try {
                return "\0" + array.getBaseTypeName() + "\0" + array;
            }
            catch (SQLException e) {
                throw new IllegalArgumentException(e);
            }
        }
        if (value.getClass().getPackageName().equals("org.postgresql.geometric")) {
            return value.toString().replaceAll("\\.0(?![0-9])", ""); // as PostgreSQL writes whole numbers
        }
        return value.toString();
    }

    /** Dates before Christ and without end: in a snapshot Debezium takes them for others. */
    private static Object date(Object value) {
        if (value instanceof java.sql.Date date) {
            if (date.getTime() == PGStatement.DATE_POSITIVE_INFINITY || date.getTime() == PGStatement.DATE_NEGATIVE_INFINITY) {
                return date.getTime() > 0 ? "infinity" : "-infinity";
            }
            Calendar calendar = new GregorianCalendar();
            calendar.setTime(date);
            int year = calendar.get(Calendar.YEAR);
            return LocalDate.of(
                    calendar.get(Calendar.ERA) == GregorianCalendar.BC ? 1 - year : year,
                    calendar.get(Calendar.MONTH) + 1,
                    calendar.get(Calendar.DAY_OF_MONTH)) + "Z";
        }
        if (STREAMED_INFINITY.equals(value) || STREAMED_INFINITY.plusDays(1).equals(value)) {
            return STREAMED_INFINITY.equals(value) ? "infinity" : "-infinity";
        }
        return value instanceof LocalDate ? value + "Z" : text(value);
    }

    private static Object withoutBlanks(Object value) {
        Object text = text(value);
        return text == null ? null : ((String) text).replaceFirst(" +$", "");
    }
}
