namespace VoicePlatform.Demo;

/// <summary>What must be true at the end. The demo has succeeded only if all of it is.</summary>
internal sealed class Checks
{
    private readonly List<(string What, bool Holds)> _checks = [];

    public void That(string what, bool holds) => _checks.Add((what, holds));

    /// <returns>0 when everything held.</returns>
    public int Report()
    {
        Console.WriteLine("\n== Checked");
        foreach (var (what, holds) in _checks)
        {
            Console.WriteLine($"  {(holds ? "ok  " : "FAIL")} {what}");
        }

        var failed = _checks.Count(c => !c.Holds);
        Console.WriteLine(failed == 0 ? "\nAll of it held." : $"\n{failed} of {_checks.Count} did not hold.");
        return failed == 0 ? 0 : 1;
    }
}
