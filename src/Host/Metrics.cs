using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace VoicePlatform.Host;

/// <summary>
/// GET /metrics in Prometheus' text format: what the framework's meters and the modules' own have measured since the start, and the modules' gauges.
/// Tags are small vocabularies; beyond a thousand series of one instrument new ones are dropped and counted.
/// </summary>
internal sealed partial class Metrics : IDisposable
{
    private const int MaxSeries = 1_000;
    private const string Dropped = "voiceplatform_metrics_series_dropped_total";

    private static readonly string[] Meters = ["Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "Npgsql", "System.Runtime"];
    // The runtime declares these two as counters; they go down as well.
    private static readonly string[] Levels = ["dotnet.thread_pool.thread.count", "dotnet.thread_pool.queue.length"];
    private static readonly double[] Seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];
    private static readonly TimeSpan GaugesKept = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<Instrument, Family> _families = new();
    private readonly IServiceScopeFactory _scopes;
    private readonly TimeProvider _clock;
    private readonly ILogger<Metrics> _log;
    private readonly SemaphoreSlim _reading = new(1, 1);
    private (DateTimeOffset At, IReadOnlyList<Gauge> Gauges) _gauges = (DateTimeOffset.MinValue, []);
    private long _dropped;

    /// <param name="factory">Of this host: another host in the process has its own.</param>
    public Metrics(IMeterFactory factory, IServiceScopeFactory scopes, TimeProvider clock, ILogger<Metrics> log)
    {
        (_scopes, _clock, _log) = (scopes, clock, log);
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            var isOurs = instrument.Meter.Scope is null || ReferenceEquals(instrument.Meter.Scope, factory);
            if (isOurs && (Meters.Contains(instrument.Meter.Name) || instrument.Meter.Name.StartsWith("VoicePlatform.", StringComparison.Ordinal)))
            {
                listener.EnableMeasurementEvents(instrument, _families.GetOrAdd(instrument, i => new Family(i)));
            }
        };
        _listener.SetMeasurementEventCallback<byte>((_, v, tags, state) => Note(state, v, tags));
        _listener.SetMeasurementEventCallback<short>((_, v, tags, state) => Note(state, v, tags));
        _listener.SetMeasurementEventCallback<int>((_, v, tags, state) => Note(state, v, tags));
        _listener.SetMeasurementEventCallback<long>((_, v, tags, state) => Note(state, v, tags));
        _listener.SetMeasurementEventCallback<float>((_, v, tags, state) => Note(state, v, tags));
        _listener.SetMeasurementEventCallback<double>((_, v, tags, state) => Note(state, v, tags));
        _listener.SetMeasurementEventCallback<decimal>((_, v, tags, state) => Note(state, (double)v, tags));
        _listener.Start();
    }

    public void Dispose()
    {
        _listener.Dispose();
        _reading.Dispose();
    }

    public async Task<string> WriteAsync(CancellationToken ct)
    {
        _listener.RecordObservableInstruments();
        var text = new StringBuilder();

        // Several instruments may share a name (a meter of each host of a test process): one family all the same.
        foreach (var family in _families.Values.GroupBy(f => f.Name).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            Head(text, family.Key, family.First().Description, family.First().Type);
            foreach (var series in family.SelectMany(f => f.Series).OrderBy(s => s.Key, StringComparer.Ordinal).DistinctBy(s => s.Key))
            {
                series.Value.Write(text, family.Key, series.Key);
            }
        }

        foreach (var gauges in (await GaugesAsync(ct)).GroupBy(g => g.Name))
        {
            var name = NameOf(gauges.Key, null, isCounter: false);
            Head(text, name, gauges.First().Description, "gauge");
            foreach (var gauge in gauges)
            {
                Line(text, name, gauge.Tag is { } tag ? Label(tag.Name, tag.Value) : "", gauge.Value);
            }
        }

        Head(text, Dropped, "Series that were not kept because an instrument had too many.", "counter");
        Line(text, Dropped, "", Interlocked.Read(ref _dropped));
        return text.ToString();
    }

    /// <summary>Anybody may ask for metrics: the database is asked every few seconds at most, and by one at a time.</summary>
    private async Task<IReadOnlyList<Gauge>> GaugesAsync(CancellationToken ct)
    {
        await _reading.WaitAsync(ct);
        try
        {
            if (_clock.GetUtcNow() - _gauges.At < GaugesKept)
            {
                return _gauges.Gauges;
            }

            await using var scope = _scopes.CreateAsyncScope();
            var read = new List<Gauge>();
            foreach (var source in scope.ServiceProvider.GetServices<IGauges>())
            {
                using var timeout = new CancellationTokenSource(Patience, _clock);
                try
                {
                    read.AddRange(await source.ReadAsync(timeout.Token));
                }
                catch (Exception e) when (e is OperationCanceledException or Npgsql.NpgsqlException)
                {
                    // What is not known is not told: an old value would look like a calm.
                    NotRead(_log, source.GetType().Name, e.Message);
                }
            }

            _gauges = (_clock.GetUtcNow(), read);
            return read;
        }
        finally
        {
            _reading.Release();
        }
    }

    private void Note(object? state, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (!((Family)state!).Note(value, tags))
        {
            Interlocked.Increment(ref _dropped);
        }
    }

    private static void Head(StringBuilder text, string name, string? description, string type) =>
        text.Append("# HELP ").Append(name).Append(' ').Append((description ?? name).Replace("\\", @"\\", StringComparison.Ordinal).Replace("\n", " ", StringComparison.Ordinal)).Append('\n')
            .Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

    private static void Line(StringBuilder text, string name, string labels, double value)
    {
        text.Append(name);
        if (labels.Length > 0)
        {
            text.Append('{').Append(labels).Append('}');
        }

        text.Append(' ').Append(Number(value)).Append('\n');
    }

    private static string Number(double value) =>
        double.IsPositiveInfinity(value) ? "+Inf" : double.IsNegativeInfinity(value) ? "-Inf" : value.ToString("R", CultureInfo.InvariantCulture);

    private static string Label(string name, string value) =>
        $"{Clean(name)}=\"{value.Replace(@"\", @"\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal)}\"";

    private static string Clean(string name) => string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_'));

    private static string NameOf(string name, string? unit, bool isCounter)
    {
        var suffix = unit switch { "s" => "_seconds", "By" => "_bytes", "ms" => "_milliseconds", _ => "" };
        var clean = Clean(name);
        return clean + (clean.EndsWith(suffix, StringComparison.Ordinal) ? "" : suffix) + (isCounter ? "_total" : "");
    }

    [LoggerMessage(LogLevel.Warning, "Metrics of {Source} could not be read: {Reason}")]
    private static partial void NotRead(ILogger logger, string source, string reason);

    /// <summary>What one instrument has measured, by its tags.</summary>
    private sealed class Family
    {
        private readonly Func<Series> _new;

        public Family(Instrument instrument)
        {
            var generic = instrument.GetType().GetGenericTypeDefinition();
            var isHistogram = generic == typeof(Histogram<>);
            var isCounter = (generic == typeof(Counter<>) || generic == typeof(ObservableCounter<>)) && !Levels.Contains(instrument.Name);
            var isSet = generic == typeof(ObservableCounter<>) || generic == typeof(ObservableGauge<>) || generic == typeof(ObservableUpDownCounter<>) || generic == typeof(Gauge<>);
            var bounds = (instrument as Histogram<double>)?.Advice?.HistogramBucketBoundaries ?? Seconds;
            Description = instrument.Description;
            Type = isHistogram ? "histogram" : isCounter ? "counter" : "gauge";
            Name = NameOf(instrument.Name, instrument.Unit, isCounter);
            _new = isHistogram ? () => new Buckets(bounds) : isSet ? () => new Latest() : () => new Sum();
        }

        public string Name { get; }

        public string? Description { get; }

        public string Type { get; }

        public ConcurrentDictionary<string, Series> Series { get; } = new();

        public bool Note(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var labels = Labels(tags);
            if (!Series.TryGetValue(labels, out var series))
            {
                if (Series.Count >= MaxSeries)
                {
                    return false;
                }

                series = Series.GetOrAdd(labels, _ => _new());
            }

            series.Note(value);
            return true;
        }

        private static string Labels(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            if (tags.Length == 0)
            {
                return "";
            }

            var sorted = tags.ToArray();
            Array.Sort(sorted, (a, b) => string.CompareOrdinal(a.Key, b.Key));
            return string.Join(',', sorted.Select(t => Label(t.Key, Convert.ToString(t.Value, CultureInfo.InvariantCulture) ?? "")));
        }
    }

    private abstract class Series
    {
        public abstract void Note(double value);

        public abstract void Write(StringBuilder text, string name, string labels);
    }

    private sealed class Sum : Series
    {
        private readonly Lock _lock = new();
        private double _value;

        public override void Note(double value)
        {
            lock (_lock)
            {
                _value += value;
            }
        }

        public override void Write(StringBuilder text, string name, string labels) => Line(text, name, labels, Volatile.Read(ref _value));
    }

    private sealed class Latest : Series
    {
        private double _value;

        public override void Note(double value) => Volatile.Write(ref _value, value);

        public override void Write(StringBuilder text, string name, string labels) => Line(text, name, labels, Volatile.Read(ref _value));
    }

    private sealed class Buckets(IReadOnlyList<double> bounds) : Series
    {
        private readonly Lock _lock = new();
        private readonly long[] _counts = new long[bounds.Count + 1];
        private double _sum;

        public override void Note(double value)
        {
            var bucket = 0;
            while (bucket < bounds.Count && value > bounds[bucket])
            {
                bucket++;
            }

            lock (_lock)
            {
                _counts[bucket]++;
                _sum += value;
            }
        }

        public override void Write(StringBuilder text, string name, string labels)
        {
            lock (_lock)
            {
                long below = 0;
                for (var i = 0; i < _counts.Length; i++)
                {
                    below += _counts[i];
                    var bound = Label("le", Number(i < bounds.Count ? bounds[i] : double.PositiveInfinity));
                    Line(text, $"{name}_bucket", labels.Length == 0 ? bound : $"{labels},{bound}", below);
                }

                Line(text, $"{name}_sum", labels, _sum);
                Line(text, $"{name}_count", labels, below);
            }
        }
    }
}

internal static class MetricsRoute
{
    private const string Prometheus = "text/plain; version=0.0.4; charset=utf-8";

    public static void MapMetrics(this IEndpointRouteBuilder app) => app
        .MapGet("/metrics", async (Metrics metrics, CancellationToken ct) => Results.Text(await metrics.WriteAsync(ct), Prometheus))
        .AllowAnonymous().ExcludeFromDescription();
}
