namespace VoicePlatform.Bench;

/// <summary>Many measurements of one thing.</summary>
internal sealed class Figures
{
    private readonly List<double> _values = [];

    public int Count => _values.Count;

    public void Add(double value) => _values.Add(value);

    /// <summary>The smallest value that this share of all values does not exceed; 0 when there is none.</summary>
    public double Percentile(double share)
    {
        var sorted = _values.Order().ToArray();
        return sorted.Length == 0 ? 0 : sorted[Math.Clamp((int)Math.Ceiling(share * sorted.Length) - 1, 0, sorted.Length - 1)];
    }

    public override string ToString() => $"p50 {Percentile(0.5),6:0.0}   p95 {Percentile(0.95),6:0.0}   max {Percentile(1),6:0.0}   ({Count})";
}
