using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;

namespace VoicePlatform.Billing;

/// <summary>A tenant's account over one month in UTC, by the time of posting: opening + movements = closing.</summary>
/// <param name="Month">As 2026-11.</param>
/// <param name="Status">open while the month lasts; closed when it is over: the statement no longer changes then.</param>
/// <param name="Last">The last transaction that is in it; its hash stands for all before it (docs/billing.md). Null: there was none yet.</param>
/// <param name="AsOf">When it was told, or closed.</param>
internal sealed record Statement(
    string TenantId, string Month, StatementStatus Status, DateTimeOffset From, DateTimeOffset To, string Unit,
    StatementBalance Opening, IReadOnlyList<Movement> Movements, StatementBalance Closing, LastTransaction? Last, DateTimeOffset AsOf)
{
    /// <summary>A row for the opening balance, one a movement, one for the closing balance.</summary>
    public string ToCsv()
    {
        var csv = new StringBuilder("line,kind,component,unit,quantity,transactions,amount\r\n");
        csv.Append(CultureInfo.InvariantCulture, $"opening,,,,,,{Opening.Posted}\r\n");
        foreach (var m in Movements)
        {
            csv.Append(CultureInfo.InvariantCulture, $"movement,{m.Kind},{m.Component},{m.Unit},{m.Quantity},{m.Transactions},{m.Amount}\r\n");
        }

        return csv.Append(CultureInfo.InvariantCulture, $"closing,,,,,,{Closing.Posted}\r\n").ToString();
    }

    /// <summary>A page to print, in credits.</summary>
    public string ToHtml()
    {
        var rows = new StringBuilder();
        foreach (var m in Movements)
        {
            rows.Append(CultureInfo.InvariantCulture, $"<tr><td>{Text(m.Kind)}<td>{Text(m.Component)}<td class=n>{m.Quantity}<td>{Text(m.Unit)}<td class=n>{InCredits(m.Amount)}\n");
        }

        return $$"""
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <title>Statement {{Text(Month)}}</title>
            <style>
            body { font: 14px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; }
            table { border-collapse: collapse; width: 100% }
            th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ccc }
            .n { text-align: right; font-variant-numeric: tabular-nums }
            tfoot, .opening { font-weight: bold }
            footer { color: #666; font-size: 12px; overflow-wrap: anywhere }
            @media print { body { margin: 0; max-width: none } }
            </style>
            <h1>Statement {{Text(Month)}}</h1>
            <p>Tenant {{Text(TenantId)}}. {{(Status is StatementStatus.Closed ? "Closed" : "Not closed yet; as of")}} {{Stamp(AsOf)}}. Amounts in credits.
            <table>
            <thead><tr><th>Kind<th>Component<th class=n>Quantity<th>Unit<th class=n>Amount
            <tbody>
            <tr class=opening><td colspan=4>Opening balance, {{Stamp(From)}}<td class=n>{{InCredits(Opening.Posted)}}
            {{rows}}<tfoot><tr><td colspan=4>Closing balance<td class=n>{{InCredits(Closing.Posted)}}
            <tr><td colspan=4>of which reserved for what runs<td class=n>{{InCredits(Closing.Held)}}
            </table>
            <footer>{{(Last is null ? "" : $"Transactions to number {Last.Seq}, {Text(Last.TransactionId)}, hash {Text(Last.Hash)}")}}</footer>
            </html>

            """;
    }

    /// <summary>Exact: whole credits and six decimals.</summary>
    public static string InCredits(long amount)
    {
        var (whole, rest) = Int128.DivRem(Int128.Abs(amount), Credits.One);
        return string.Create(CultureInfo.InvariantCulture, $"{(amount < 0 ? "-" : "")}{whole}.{(long)rest:000000}");
    }

    private static string Text(string? text) => HtmlEncoder.Default.Encode(text ?? "");

    private static string Stamp(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);
}

internal enum StatementStatus { Open, Closed }

/// <summary>posted = available + held, in micro-credits.</summary>
internal sealed record StatementBalance(long Posted, long Available, long Held);

/// <summary>What moved for one reason, over the month.</summary>
/// <param name="Component">What was used, for charges and their reversals; "uncollected" for what could not be charged.</param>
/// <param name="Amount">Micro-credits; above zero where the tenant got them.</param>
internal sealed record Movement(string Kind, string? Component, string? Unit, long? Quantity, long Amount, long Transactions);

internal sealed record LastTransaction(long Seq, string TransactionId, string Hash);
