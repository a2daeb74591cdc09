using FsCheck;
using FsCheck.Fluent;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.IntegrationTests.Billing.Proof;

internal enum Asks
{
    TopUp,
    Hold,
    Extend,
    Settle,
    Reverse,
}

/// <summary>One request to the ledger.</summary>
/// <param name="Name">A top-up's reference, a hold's subject, or the idempotency key of what is to be reversed.</param>
/// <param name="Amount">Micro-credits of a top-up; of a hold, an extension and a settlement how much is used (<see cref="Scenario.Use"/>).</param>
internal sealed record Step(Asks Asks, string Tenant, string Name, long Amount);

/// <summary>Requests of one tenant in one transaction.</summary>
/// <param name="StopsAfter">After so many of them whoever plays it dies, the first time it is played; null: when chance has it.</param>
internal sealed record Operation(int Id, IReadOnlyList<Step> Steps, int? StopsAfter);

/// <summary>What is asked of a ledger by everybody together.</summary>
/// <param name="Operations">In the order in which they are taken; every now and then one that was asked before is asked again.</param>
internal sealed record Scenario(IReadOnlyList<Operation> Operations)
{
    /// <summary>One with little, one with a limit, one with plenty: refusals, credit and neither.</summary>
    public static readonly IReadOnlyList<(string Tenant, long Opening, long CreditLimit)> Tenants =
        [("ten-poor", 300_000, 0), ("ten-trusted", 100_000, 2_000_000), ("ten-rich", 50_000_000, 0)];

    private static readonly Gen<long> Amounts = Gen.OneOf(Gen.Choose(0, 3), Gen.Choose(1, 400), Gen.Choose(1, 5_000)).Select(n => (long)n);

    public static Gen<Scenario> Generator(int size) =>
        from operations in Operation(Math.Max(4, size / 12)).ArrayOf(size)
        from again in Gen.Choose(0, 5).ArrayOf(size)
        select new Scenario([.. Number(operations).SelectMany((o, i) => again[i] == 0 && i > 20 ? [o, Number(operations)[i - 20]] : new[] { o })]);

    /// <summary>Messages, tokens and seconds, more of each with a larger number: prices that have to be rounded among them.</summary>
    public static IReadOnlyList<Measured> Use(long n) =>
        [new("message", "message", n % 7), new("llm_output", "token", n), new("platform", "second", n / 40)];

    private static Gen<Operation> Operation(int subjects) =>
        from tenant in Gen.Elements(Tenants.Select(t => t.Tenant))
        from count in Gen.Frequency((6, Gen.Constant(1)), (2, Gen.Constant(2)), (1, Gen.Constant(3)))
        from steps in Step(tenant, subjects).ArrayOf(count)
        from stops in Gen.Frequency((5, Gen.Constant((int?)null)), (1, Gen.Choose(1, count).Select(n => (int?)n)))
        select new Operation(0, steps, stops);

    private static Gen<Step> Step(string tenant, int subjects) =>
        from n in Gen.Choose(1, subjects)
        from amount in Amounts
        let subject = $"{tenant}-ses{n}"
        from step in Gen.Frequency(
            (2, Gen.Constant(new Step(Asks.TopUp, tenant, "", 1 + (amount * 137)))),
            (4, Gen.Constant(new Step(Asks.Hold, tenant, subject, amount))),
            (3, Gen.Constant(new Step(Asks.Extend, tenant, subject, amount * 2))),
            (3, Gen.Constant(new Step(Asks.Settle, tenant, subject, amount))),
            (1, Gen.Constant(new Step(Asks.Settle, tenant, subject, 0))),
            (1, Gen.Elements($"end:{subject}", $"end:{subject}", "topup:opening", $"hold:{subject}").Select(key => new Step(Asks.Reverse, tenant, key, 0))))
        select step;

    // References of top-ups are their operation's, and so are some reversals': a top-up is reversed by whoever comes after it.
    private static Operation[] Number(Operation[] operations) => [.. operations.Select((o, id) => o with
    {
        Id = id,
        Steps = [.. o.Steps.Select((s, n) => s switch
        {
            { Asks: Asks.TopUp } => s with { Name = $"{id}-{n}" },
            { Asks: Asks.Reverse, Name: "topup:opening" } => s with { Name = EarlierTopUp(operations, id, s.Tenant) },
            _ => s,
        })],
    })];

    private static string EarlierTopUp(Operation[] operations, int before, string tenant)
    {
        for (var id = before - 1; id >= 0; id--)
        {
            for (var n = 0; n < operations[id].Steps.Count; n++)
            {
                if (operations[id].Steps[n] is { Asks: Asks.TopUp } && operations[id].Steps[n].Tenant == tenant)
                {
                    return $"topup:{id}-{n}";
                }
            }
        }

        return "topup:opening";
    }
}
