using System.Text.Json;
using FluentValidation;
using MediatR;
using Microsoft.Extensions.DependencyInjection;

namespace VoicePlatform.SharedKernel;

/// <summary>A request that changes something: it runs in the unit of work, its own or the one it is sent from.</summary>
public interface ICommand;

/// <inheritdoc cref="ICommand"/>
public interface ICommand<T> : ICommand, IRequest<Result<T>>;

/// <summary>Refuses a request that its validators refuse, naming each field as the JSON has it.</summary>
internal sealed class ValidationBehavior<TRequest, TResponse>(IEnumerable<IValidator<TRequest>> validators, UnitOfWork unit)
    : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>
    where TResponse : IFailable<TResponse>
{
    public async Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        // Inside a unit of work the request was validated on its way in, or comes from our own code.
        if (!unit.IsActive)
        {
            foreach (var validator in validators)
            {
                var outcome = await validator.ValidateAsync(request, cancellationToken);
                if (!outcome.IsValid)
                {
                    var fields = outcome.Errors
                        .Select(e => new FieldError(FieldName(e.PropertyName), FieldName((e.ErrorCode ?? "invalid").Replace("Validator", "", StringComparison.Ordinal)), e.ErrorMessage))
                        .ToList();
                    return TResponse.Failed(new Error(ErrorKind.Invalid, "request.invalid", fields[0].Message) { Fields = fields });
                }
            }
        }

        return await next();
    }

    private static string FieldName(string path) => string.Join('.', path.Split('.').Select(JsonNamingPolicy.SnakeCaseLower.ConvertName));
}

/// <summary>The outermost command opens the unit of work, in a scope of its own; commands sent from inside join it.</summary>
internal sealed class UnitOfWorkBehavior<TRequest, TResponse>(UnitOfWork unit, Caller caller, Transactions transactions)
    : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>, ICommand
    where TResponse : IFailable<TResponse>
{
    public async Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        if (!unit.IsActive)
        {
            return await transactions.RunAsync(
                caller,
                (scope, ct) => scope.GetRequiredService<IMediator>().Send(request, ct),
                cancellationToken);
        }

        var result = await next();
        if (result.Error is { } error)
        {
            unit.Doomed = error;
        }

        return result;
    }
}
