// SPDX-License-Identifier: Apache-2.0

// Pure: what an init process will do, as values.
//
//   InitStep                one thing that the child does
//   StepValues, AttributeValues, Namespaces, PlannedHook  what steps are made of
//   PlannedStep, Origin     a step with what asks for it
//   Exchange                what runtime and child tell each other
//   Explanation, Summaries  steps and instructions as text (`swrunc explain`)
//   Lowering                each step becomes instructions of the machine
//   Lowering+*              the same, a file a theme
//   Assembler               the program under construction
//   Program                 the program, finished: instructions, cells, data
//   SystemCall              the calls that instructions make: number and name
//   ProgramChecker          the rules that the machine relies on
//   Birth                   what a child that is born empty does before its program
//   ProgramImage+ScopeKeeper, Program+Waiting  programs of processes that only keep a scope, a namespace
//   ProgramImage+TreeCopy   the program of the process that fills a tmpfs: tmpcopyup
//   HashedPlaces            the places of a list's elements, by hash

@_exported public import ByteText
