namespace VoicePlatform.IntegrationTests;

/// <summary>
/// Speech is spoken and heard at its own pace, and must not wait for the processor: ./test runs these apart from those that keep it busy.
/// </summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
internal sealed class RealTimeAttribute : CategoryAttribute;
