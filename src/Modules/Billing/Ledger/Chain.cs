using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.Billing.Ledger;

/// <summary>A transaction as it is written. Times are UTC, to the microsecond.</summary>
/// <param name="Metadata">The text of its jsonb, as PostgreSQL prints it.</param>
internal sealed record WrittenTransaction(
    string Id, string TenantId, long Seq, string Kind, string IdempotencyKey, DateTime PostedAt, DateTime EffectiveAt, string Metadata, byte[] Hash);

/// <summary>An entry as it is written; the last six only in a charge line.</summary>
internal sealed record WrittenEntry(
    string Id, string Account, long Amount, long? BalanceAfter, string? Component, long? Quantity, string? Unit, long? Rate, long? Per, string? RateCard);

/// <summary>
/// The documented encoding of a transaction (docs/billing.md), and what makes a chain of them. Written beside billing.chain_hash and without it: the two
/// must come to the same, or one of them is wrong.
/// </summary>
internal static class Chain
{
    /// <summary>sha256(hash of the tenant's transaction before ‖ encoding).</summary>
    /// <param name="previous">Empty for the first one.</param>
    public static byte[] Hash(ReadOnlySpan<byte> previous, WrittenTransaction transaction, IReadOnlyList<WrittenEntry> entries) =>
        SHA256.HashData([.. previous, .. Encoding.UTF8.GetBytes(Encode(transaction, entries))]);

    /// <summary>A line each, ended by a line feed; what is null is empty.</summary>
    public static string Encode(WrittenTransaction t, IReadOnlyList<WrittenEntry> entries)
    {
        var text = new StringBuilder("v1\n");
        text.Append($"{t.Id}\n{t.TenantId}\n{t.Seq}\n{t.Kind}\n{t.IdempotencyKey}\n{Microseconds(t.PostedAt)}\n{Microseconds(t.EffectiveAt)}\n{t.Metadata}\n");
        foreach (var e in entries)
        {
            text.Append($"{e.Id}|{e.Account}|{e.Amount}|{e.BalanceAfter}|{e.Component}|{e.Quantity}|{e.Unit}|{e.Rate}|{e.Per}|{e.RateCard}\n");
        }

        return text.ToString();
    }

    private static long Microseconds(DateTime at) => (at - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
}
